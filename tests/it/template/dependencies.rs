//! What depends on what: resources on each other, and the rules of the buckets on parameters.

use std::collections::{BTreeMap, BTreeSet};

use fancy_regex::Regex;
use serde_json::Value;

use crate::cloudformation::{Template, text};
use crate::support::project;

/// Collects the names that a part of the template refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(fields) => {
            for (name, argument) in fields {
                match (name.as_str(), argument) {
                    ("Ref" | "Fn::GetAtt", Value::String(name)) => {
                        found.insert(name.split('.').next().unwrap().to_owned());
                    }
                    ("Fn::Sub", pattern) => {
                        let variable = Regex::new(r"\$\{([A-Za-z0-9]+)").unwrap();
                        let pattern = pattern.to_string();
                        let names = variable.captures_iter(&pattern).map(Result::unwrap);
                        found.extend(names.map(|name| name.get(1).unwrap().as_str().to_owned()));
                    }
                    _ => {}
                }
                references(argument, found);
            }
        }
        _ => {}
    }
}

#[test]
fn no_resource_waits_for_itself() {
    let template = Template::read();
    let resources = template.0["Resources"].as_object().unwrap();
    let mut needs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, resource) in resources {
        let found = needs.entry(name).or_default();
        references(&resource["Properties"], found);
        found.extend(resource["DependsOn"].as_str().map(str::to_owned));
    }
    // Takes out, again and again, what needs nothing that is left.
    while let Some(ready) = needs
        .iter()
        .find(|(_, of)| of.iter().all(|name| !needs.contains_key(name.as_str())))
        .map(|(name, _)| *name)
    {
        needs.remove(ready);
    }
    assert_eq!(needs, BTreeMap::new(), "in a circle, or behind one");
}

/// Collects the parameters that a part of the template depends on, by itself or by a condition.
fn parameters_of(template: &Template, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| parameters_of(template, item, found)),
        Value::Object(fields) => {
            for (name, argument) in fields {
                let condition = match name.as_str() {
                    "Fn::If" => argument[0].as_str(),
                    "Condition" => argument.as_str(),
                    _ => None,
                };
                if let Some(condition) = condition {
                    parameters_of(template, &template.0["Conditions"][condition], found);
                }
                if name == "Ref" && template.0["Parameters"].get(text(argument)).is_some() {
                    found.insert(text(argument));
                }
                parameters_of(template, argument, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_parameters_whose_change_needs_the_break_glass_role_are_on_the_page() {
    let template = Template::read();
    let mut expected = BTreeSet::new();
    for policy in template.of_type("AWS::S3::BucketPolicy") {
        let resource = &template.0["Resources"][policy];
        // The rules of the bucket of reads are nobody's privilege.
        if !resource.to_string().contains("s3:PutBucketPolicy") {
            assert_eq!(policy, "ReadsBucketPolicy");
            continue;
        }
        parameters_of(&template, resource, &mut expected);
        let bucket = template.resource(&text(&resource["Properties"]["Bucket"]["Ref"]));
        for property in [
            "VersioningConfiguration",
            "LifecycleConfiguration",
            "ObjectLockEnabled",
            "ObjectLockConfiguration",
        ] {
            parameters_of(&template, &bucket[property], &mut expected);
        }
    }
    let page = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let table = page
        .split("\n\n")
        .find(|block| block.starts_with("| changed with `--role-arn` |"));
    let named: BTreeSet<String> = table
        .expect("a table of these parameters")
        .lines()
        .skip(2)
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert_eq!(named, expected);
    assert!(expected.contains("ExpireAfterDays") && !expected.contains("OperatorPrincipalArn"));
}
