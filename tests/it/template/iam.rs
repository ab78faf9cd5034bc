//! Decides requests by the policies of the template, as far as these policies use IAM's language.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cloudformation::{Stack, Template, text};

/// The account that the stack is in.
pub(super) const ACCOUNT: &str = "111122223333";

/// Somebody with every right that IAM can give, as whoever deploys stacks.
pub(super) const ADMINISTRATOR: &str = "arn:aws:iam::111122223333:role/Administrator";

/// The decision about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// By the statement of this `Sid`, whatever else allows it.
    Denied(String),
    /// Nothing allows it.
    NotAllowed,
}

/// One request: who, what, on what, and what IAM knows besides.
#[derive(Debug, Clone)]
pub(super) struct Request {
    by: String,
    action: String,
    on: String,
    context: BTreeMap<String, Vec<String>>,
}

impl Request {
    pub(super) fn new(by: &str, action: &str, on: &str) -> Self {
        let request = Self {
            by: by.to_owned(),
            action: action.to_owned(),
            on: on.to_owned(),
            context: BTreeMap::new(),
        };
        request
            .with("aws:PrincipalArn", by)
            .with("aws:SecureTransport", "true")
            .with("aws:ResourceAccount", ACCOUNT)
    }

    /// Sets a key of the request's context.
    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.context.insert(key.to_owned(), vec![value.to_owned()]);
        self
    }
}

/// The policies of a stack in its account.
pub(super) struct Account<'a> {
    template: &'a Template,
    stack: Stack<'a>,
}

impl<'a> Account<'a> {
    pub(super) fn new(template: &'a Template, parameters: &[(&str, &str)]) -> Self {
        let stack = template.stack(parameters);
        assert_eq!(stack.refused(), None);
        Self { template, stack }
    }

    /// Returns the ARN of a resource of the template.
    pub(super) fn arn(&self, name: &str) -> String {
        let here = format!("us-east-1:{ACCOUNT}");
        match text(&self.template.0["Resources"][name]["Type"]).as_str() {
            "AWS::DynamoDB::Table" => format!("arn:aws:dynamodb:{here}:table/archive-{name}-1A2B3C4D"),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{name}"),
            "AWS::Serverless::Function" => format!("arn:aws:lambda:{here}:function:archive-{name}-1A2B3C4D"),
            "AWS::IAM::Role" => format!("arn:aws:iam::{ACCOUNT}:role/archive-{name}-1A2B3C4D"),
            "AWS::KMS::Key" => format!("arn:aws:kms:{here}:key/{name}"),
            "AWS::SQS::Queue" => format!("arn:aws:sqs:{here}:archive-{name}-1A2B3C4D"),
            "AWS::SecretsManager::Secret" => format!("arn:aws:secretsmanager:{here}:secret:{name}"),
            "AWS::Logs::LogGroup" => format!("arn:aws:logs:{here}:log-group:{name}"),
            other => panic!("the tests do not know the ARN of {name}, {other}"),
        }
    }

    /// Decides a request.
    pub(super) fn decide(&self, request: &Request) -> Verdict {
        let identity = self.of_identity(&request.by);
        let resource = self.of_resource(&request.on);
        let all = identity.iter().chain(&resource);
        let matching: Vec<&Value> = all.filter(|statement| applies(statement, request)).collect();
        if let Some(deny) = matching.iter().find(|statement| statement["Effect"] == "Deny") {
            return Verdict::Denied(text(&deny["Sid"]));
        }
        let allowed = identity
            .iter()
            .any(|statement| statement["Effect"] == "Allow" && applies(statement, request));
        // Policies of IAM count for a key only where the key's own policy says so.
        let delegated = !request.action.starts_with("kms:") || self.leaves_to_iam(&resource, request);
        if allowed && delegated {
            Verdict::Allowed
        } else {
            Verdict::NotAllowed
        }
    }

    /// Decides whether somebody may assume a role, by the role's own policy.
    pub(super) fn decide_trust(&self, role: &str, request: &Request) -> Verdict {
        let document = &self.template.resource(role)["AssumeRolePolicyDocument"];
        let statements = self.statements(document);
        let applying = |effect: &str| {
            let mut found = statements
                .iter()
                .filter(|statement| statement["Effect"] == effect);
            found.find(|statement| {
                principal(statement, &request.by)
                    && list(&statement["Action"]).contains(&request.action)
                    && conditions(statement, request)
            })
        };
        match (applying("Deny"), applying("Allow")) {
            (Some(deny), _) => Verdict::Denied(text(&deny["Sid"])),
            (None, Some(_)) => Verdict::Allowed,
            (None, None) => Verdict::NotAllowed,
        }
    }

    fn leaves_to_iam(&self, policy: &[Value], request: &Request) -> bool {
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        policy.is_empty()
            || policy.iter().any(|statement| {
                statement["Effect"] == "Allow"
                    && principal(statement, &root)
                    && list(&statement["Action"])
                        .iter()
                        .any(|action| glob(action, &request.action))
            })
    }

    /// Returns the statements about what this principal may do.
    fn of_identity(&self, by: &str) -> Vec<Value> {
        let role = self
            .template
            .of_type("AWS::IAM::Role")
            .into_iter()
            .find(|role| self.arn(role) == by);
        let Some(role) = role else {
            return vec![json!({"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"})];
        };
        assert!(self.stack.makes(role), "{role} is not in this stack");
        let inline = self.template.resource(role)["Policies"].as_array();
        let inline = inline
            .into_iter()
            .flatten()
            .map(|policy| &policy["PolicyDocument"]);
        let apart = self
            .template
            .of_type("AWS::IAM::Policy")
            .into_iter()
            .filter(|name| self.stack.makes(name))
            .map(|name| self.template.resource(name))
            .filter(|policy| policy["Roles"] == json!([{"Ref": role}]))
            .map(|policy| &policy["PolicyDocument"]);
        inline
            .chain(apart)
            .flat_map(|document| self.statements(document))
            .collect()
    }

    /// Returns the statements of the policy that this resource itself has, or the one it is a part of.
    fn of_resource(&self, on: &str) -> Vec<Value> {
        let resources = self.template.0["Resources"].as_object().unwrap();
        let made = resources.keys().filter(|name| self.stack.makes(name));
        let documents = made.filter_map(|name| {
            let properties = &resources[name]["Properties"];
            let (owner, document) = match text(&resources[name]["Type"]).as_str() {
                "AWS::DynamoDB::Table" => (name.as_str(), &properties["ResourcePolicy"]["PolicyDocument"]),
                "AWS::KMS::Key" => (name.as_str(), &properties["KeyPolicy"]),
                "AWS::S3::BucketPolicy" => {
                    let bucket = properties["Bucket"]["Ref"].as_str().unwrap();
                    (bucket, &properties["PolicyDocument"])
                }
                "AWS::SQS::QueuePolicy" => {
                    let mut queues = properties["Queues"].as_array().unwrap().iter();
                    let queue = queues.find_map(|queue| {
                        let name = queue["Ref"].as_str().unwrap();
                        (on == self.arn(name)).then_some(name)
                    });
                    (queue?, &properties["PolicyDocument"])
                }
                _ => return None,
            };
            let arn = self.arn(owner);
            (on == arn || on.starts_with(&format!("{arn}/"))).then_some(document)
        });
        documents.flat_map(|document| self.statements(document)).collect()
    }

    fn statements(&self, document: &Value) -> Vec<Value> {
        let statements = self.resolved(&self.stack.value(&document["Statement"]));
        statements.as_array().unwrap().clone()
    }

    /// Replaces the names of the template's resources by what AWS would call them.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.resolved(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.resolved(value)))
                .collect(),
            Value::String(name) => json!(self.named(name)),
            other => other.clone(),
        }
    }

    fn named(&self, found: &str) -> String {
        let mut name = found.to_owned();
        for (pseudo, value) in [
            ("AWS::Partition", "aws"),
            ("AWS::Region", "us-east-1"),
            ("AWS::AccountId", ACCOUNT),
            ("AWS::StackName", "archive"),
            ("AWS::URLSuffix", "amazonaws.com"),
        ] {
            name = name.replace(&format!("${{{pseudo}}}"), value);
            if name == pseudo {
                value.clone_into(&mut name);
            }
        }
        for resource in self.template.0["Resources"].as_object().unwrap().keys() {
            let whole = format!("{resource}.Arn");
            let part = format!("${{{whole}}}");
            if name == whole || name.contains(&part) {
                let arn = self.arn(resource);
                name = if name == whole {
                    arn
                } else {
                    name.replace(&part, &arn)
                };
            }
        }
        name
    }
}

fn list(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map_or_else(|| vec![text(value)], |items| items.iter().map(text).collect())
}

/// Checks whether a statement is about this principal. One of IAM, without a principal, is about whoever has it.
fn principal(statement: &Value, by: &str) -> bool {
    match &statement["Principal"] {
        Value::Null => true,
        Value::String(anybody) => anybody == "*",
        named => list(&named["AWS"]).iter().any(|name| name == "*" || name == by),
    }
}

fn applies(statement: &Value, request: &Request) -> bool {
    let any = |patterns: &Value, value: &str| list(patterns).iter().any(|pattern| glob(pattern, value));
    principal(statement, &request.by)
        && any(&statement["Action"], &request.action)
        && any(&statement["Resource"], &request.on)
        && conditions(statement, request)
}

/// Checks whether all conditions of a statement hold. A key that the request does not have fails each test but the
/// negated ones and `Null`.
fn conditions(statement: &Value, request: &Request) -> bool {
    let operators = statement["Condition"].as_object().into_iter().flatten();
    operators.into_iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, expected)| {
            let expected = list(expected);
            let found = request.context.get(key);
            let equal = |value: &String| expected.contains(value);
            let like = |value: &String| expected.iter().any(|pattern| glob(pattern, value));
            match operator.as_str() {
                "Null" => found.is_none() == (expected == ["true"]),
                "Bool" | "StringEquals" | "ForAnyValue:StringEquals" => {
                    found.is_some_and(|values| values.iter().any(equal))
                }
                "ArnEquals" | "StringLike" => found.is_some_and(|values| values.iter().any(like)),
                "ArnNotEquals" => found.is_none_or(|values| !values.iter().any(like)),
                other => panic!("the tests do not know the condition {other}"),
            }
        })
    })
}

/// Checks a value against a pattern with `*`.
fn glob(pattern: &str, value: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == value;
    };
    value.strip_prefix(start).is_some_and(|left| {
        let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
        ends.into_iter().any(|at| glob(rest, &left[at..]))
    })
}

#[test]
fn the_tests_understand_policies_as_iam_does() {
    for (pattern, value, matches) in [
        ("*", "", true),
        ("s3:Put*", "s3:PutObject", true),
        ("s3:Put*", "s3:GetObject", false),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-c", false),
        ("table/x", "table/xy", false),
    ] {
        assert_eq!(glob(pattern, value), matches, "{pattern} {value}");
    }
    let request = Request::new(ADMINISTRATOR, "s3:PutObject", "arn:aws:s3:::b/k").with("present", "x");
    for (condition, holds) in [
        (json!({"Null": {"absent": "true"}}), true),
        (json!({"Null": {"present": "true"}}), false),
        (json!({"Null": {"present": "false"}}), true),
        (json!({"StringEquals": {"absent": "x"}}), false),
        (json!({"StringEquals": {"present": ["y", "x"]}}), true),
        (json!({"ArnNotEquals": {"absent": "x"}}), true),
        (json!({"ArnNotEquals": {"present": ["y", "x"]}}), false),
        (
            json!({"ArnNotEquals": {"present": "y"}, "Null": {"present": "true"}}),
            false,
        ),
    ] {
        let statement = json!({"Condition": condition});
        assert_eq!(conditions(&statement, &request), holds, "{statement}");
    }
}
