//! Reads template.yaml and works out its functions, as far as this template uses them.

use std::collections::BTreeMap;

use fancy_regex::Regex;
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::support::project;

/// The ARN of a rule on a partner's bus ends with the names of bus and rule.
const RULE_ARN: &str = "arn:aws:events:us-east-1:123456789012:rule/aws.partner/genesys.com/cloud/org/archive/ConversationEndRule";

/// The template, short tags written out (`!Ref X` is `{"Ref": "X"}`).
pub(crate) struct Template(pub(crate) Value);

/// The template with a value for each parameter.
pub(crate) struct Stack<'a> {
    template: &'a Value,
    parameters: BTreeMap<String, String>,
}

impl Template {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(project().join("template.yaml")).unwrap();
        Self(plain(&Yaml::load_from_str(&text).unwrap()[0]))
    }

    pub(crate) fn parameter(&self, name: &str) -> &Value {
        let parameter = &self.0["Parameters"][name];
        assert!(parameter.is_object(), "there is no parameter {name}");
        parameter
    }

    pub(crate) fn resource(&self, name: &str) -> &Value {
        let resource = &self.0["Resources"][name];
        assert!(resource.is_object(), "there is no resource {name}");
        &resource["Properties"]
    }

    /// Names of the resources of a type.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<&str> {
        let resources = self.0["Resources"].as_object().unwrap();
        let found = resources.iter().filter(|(_, resource)| resource["Type"] == kind);
        found.map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the stack of these parameters and otherwise the defaults.
    pub(crate) fn stack(&self, changes: &[(&str, &str)]) -> Stack<'_> {
        let declared = self.0["Parameters"].as_object().unwrap();
        let mut parameters: BTreeMap<String, String> = declared
            .iter()
            .map(|(name, parameter)| (name.clone(), text(&parameter["Default"])))
            .collect();
        for (name, value) in changes {
            assert!(declared.contains_key(*name), "there is no parameter {name}");
            parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        Stack {
            template: &self.0,
            parameters,
        }
    }
}

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>
fn allowed(parameter: &Value, value: &str) -> Result<(), String> {
    if let Some(pattern) = parameter["AllowedPattern"].as_str()
        && !Regex::new(&format!("^(?:{pattern})$"))
            .unwrap()
            .is_match(value)
            .unwrap()
    {
        return Err(format!("accepted: {}", text(&parameter["ConstraintDescription"])));
    }
    if let Some(values) = parameter["AllowedValues"].as_array()
        && !values.iter().any(|allowed| text(allowed) == value)
    {
        return Err("not one of the allowed values".to_owned());
    }
    if parameter["MaxLength"]
        .as_u64()
        .is_some_and(|most| value.len() as u64 > most)
    {
        return Err("too long".to_owned());
    }
    if parameter["Type"] == "Number" {
        let number: i64 = value.parse().map_err(|_| "not a number".to_owned())?;
        let least = parameter["MinValue"].as_i64().unwrap_or(i64::MIN);
        let most = parameter["MaxValue"].as_i64().unwrap_or(i64::MAX);
        if !(least..=most).contains(&number) {
            return Err(format!("not from {least} to {most}"));
        }
    }
    Ok(())
}

impl Stack<'_> {
    /// Returns why CloudFormation would not even begin to create it.
    pub(crate) fn refused(&self) -> Option<String> {
        for (name, value) in &self.parameters {
            if let Err(why) = allowed(&self.template["Parameters"][name], value) {
                return Some(format!("{name} is {value:?}: {why}"));
            }
        }
        let rules = self.template["Rules"].as_object().unwrap().values();
        let applying = rules.filter(|rule| {
            rule.get("RuleCondition")
                .is_none_or(|condition| self.holds(condition))
        });
        let assertions: Vec<&Value> = applying
            .flat_map(|rule| rule["Assertions"].as_array().unwrap())
            .collect();
        let broken = assertions
            .into_iter()
            .find(|assertion| !self.holds(&assertion["Assert"]));
        broken.map(|assertion| text(&assertion["AssertDescription"]))
    }

    /// Returns the archiver's environment; the name of a resource stands for what AWS would call it.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        self.environment_of("ArchiverFunction")
    }

    /// Returns the environment of a function like `environment`.
    pub(crate) fn environment_of(&self, function: &str) -> BTreeMap<String, String> {
        let function = &self.template["Resources"][function]["Properties"];
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        let set = variables.iter().map(|(name, value)| (name, self.value(value)));
        set.filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), text(&value)))
            .collect()
    }

    /// Returns whether the stack has this resource of the template.
    pub(crate) fn makes(&self, name: &str) -> bool {
        let resource = &self.template["Resources"][name];
        assert!(resource.is_object(), "there is no resource {name}");
        resource
            .get("Condition")
            .is_none_or(|condition| self.condition(condition))
    }

    /// Returns a property as this stack has it: `null` where `AWS::NoValue` takes it out.
    pub(crate) fn value(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(item))
                .filter(|item| !item.is_null())
                .collect(),
            Value::Object(fields) => match fields.iter().next() {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                    self.function(name, argument)
                }
                _ => fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.value(value)))
                    .collect(),
            },
            plain => plain.clone(),
        }
    }

    fn function(&self, name: &str, argument: &Value) -> Value {
        match name {
            "Ref" => match argument.as_str().unwrap() {
                "AWS::NoValue" => Value::Null,
                name => match self.parameters.get(name) {
                    Some(value) if self.template["Parameters"][name]["Type"] == "CommaDelimitedList" => {
                        value.split(',').collect()
                    }
                    Some(value) => json!(value),
                    None => json!(name),
                },
            },
            "Fn::GetAtt" if argument == "ArchiverRole.RoleId" => json!("AROAJQABLZS4A3QDU576Q"),
            "Fn::GetAtt" if argument == "ConversationEndRule.Arn" => json!(RULE_ARN),
            "Fn::GetAtt" => argument.clone(),
            "Fn::If" => self.value(&argument[if self.condition(&argument[0]) { 1 } else { 2 }]),
            "Fn::Split" => text(&self.value(&argument[1]))
                .split(argument[0].as_str().unwrap())
                .collect(),
            "Fn::Select" => {
                let list = self.value(&argument[1]);
                list[usize::try_from(argument[0].as_u64().unwrap()).unwrap()].clone()
            }
            "Fn::Sub" => json!(self.substitute(argument)),
            _ => json!(self.holds(&json!({name: argument}))),
        }
    }

    fn substitute(&self, argument: &Value) -> String {
        let none = Value::Object(Map::new());
        let (pattern, own) = match argument.as_array() {
            Some(both) => (&both[0], &both[1]),
            None => (argument, &none),
        };
        let mut filled = text(pattern);
        for (name, value) in own.as_object().unwrap() {
            filled = filled.replace(&format!("${{{name}}}"), &text(&self.value(value)));
        }
        for (name, value) in &self.parameters {
            filled = filled.replace(&format!("${{{name}}}"), value);
        }
        filled
    }

    /// Returns whether a condition of this name holds.
    pub(crate) fn condition(&self, name: &Value) -> bool {
        self.holds(&self.template["Conditions"][name.as_str().unwrap()])
    }

    /// Evaluates a condition function, of `Conditions` or of `Rules`.
    fn holds(&self, test: &Value) -> bool {
        let (name, argument) = test.as_object().unwrap().iter().next().unwrap();
        let both = || (self.value(&argument[0]), self.value(&argument[1]));
        let all = || argument.as_array().unwrap().iter();
        match name.as_str() {
            "Condition" => self.condition(argument),
            "Fn::Not" => !self.holds(&argument[0]),
            "Fn::And" => all().all(|test| self.holds(test)),
            "Fn::Or" => all().any(|test| self.holds(test)),
            "Fn::Equals" => both().0 == both().1,
            "Fn::Contains" => both().0.as_array().unwrap().contains(&both().1),
            "Fn::EachMemberIn" => {
                let (members, list) = both();
                members
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|member| list.as_array().unwrap().contains(member))
            }
            other => panic!("the tests do not know {other}"),
        }
    }
}

/// Returns a value as CloudFormation has it, to which everything is text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn plain(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(plain).collect(),
        Yaml::Mapping(fields) => fields
            .iter()
            .map(|(name, value)| (name.as_str().unwrap().to_owned(), plain(value)))
            .collect(),
        Yaml::Tagged(tag, value) => {
            let name = match tag.suffix.as_str() {
                name @ ("Ref" | "Condition") => name.to_owned(),
                name => format!("Fn::{name}"),
            };
            json!({name: plain(value)})
        }
        other => panic!("the tests do not know {other:?}"),
    }
}
