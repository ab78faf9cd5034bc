//! docs/interface.md and the code name the same things, in both directions.

use std::collections::BTreeSet;

use recording_archiver::config::{SEALING_VARIABLES, STATING_VARIABLES, VARIABLES};
use recording_archiver::domain::audit::Action;
use serde_json::json;
use syn::visit::Visit;

use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, invoke, job, project, sqs};

/// Returns the names in the first column of the tables below a heading of the page whose first column is called
/// `column`.
fn page(heading: &str, column: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(project().join("docs/interface.md")).unwrap();
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with(&format!("{heading}\n")));
    let section = section.unwrap_or_else(|| panic!("docs/interface.md has no section {heading}"));
    let mut names = BTreeSet::new();
    for table in section
        .split("\n\n")
        .filter(|table| table.starts_with(&format!("| {column} |")))
    {
        for row in table.lines().skip(2) {
            let cell = row.split('|').nth(1).unwrap();
            names.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    assert!(!names.is_empty(), "no table {column} in the section {heading}");
    names
}

fn parse(path: &str) -> syn::File {
    syn::parse_file(&std::fs::read_to_string(project().join("src").join(path)).unwrap()).unwrap()
}

/// Collects the texts that stand in code.
#[derive(Default)]
struct Texts(BTreeSet<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.0.insert(text.value());
    }

    // What stands in an attribute is not said at run time.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

/// Returns the texts in a method of a type.
fn texts_of(path: &str, of: &str, method: &str) -> BTreeSet<String> {
    let mut texts = Texts::default();
    for item in parse(path).items {
        let syn::Item::Impl(block) = item else { continue };
        let syn::Type::Path(name) = &*block.self_ty else {
            continue;
        };
        if block.trait_.is_some() || !name.path.is_ident(of) {
            continue;
        }
        for item in &block.items {
            if let syn::ImplItem::Fn(function) = item
                && function.sig.ident == method
            {
                texts.visit_impl_item_fn(function);
            }
        }
    }
    texts.0
}

/// Returns the fields of a struct as serde writes them in camel case.
fn fields_of(path: &str, of: &str) -> BTreeSet<String> {
    let file = parse(path);
    let found = file.items.iter().find_map(|item| match item {
        syn::Item::Struct(item) if item.ident == of => Some(item),
        _ => None,
    });
    let camel = |name: String| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |all, word| all + &word[..1].to_uppercase() + &word[1..])
    };
    let fields = found
        .unwrap_or_else(|| panic!("no struct {of} in {path}"))
        .fields
        .iter();
    fields
        .map(|field| camel(field.ident.as_ref().unwrap().to_string()))
        .collect()
}

#[test]
fn every_variable_is_on_the_page_and_no_other() {
    assert_eq!(page("Variables", "variable"), VARIABLES.map(str::to_owned).into());
    let sealing = page("Variables", "sealer's variable");
    assert_eq!(sealing, SEALING_VARIABLES.map(str::to_owned).into());
    let stating = page("Variables", "statement's variable");
    assert_eq!(stating, STATING_VARIABLES.map(str::to_owned).into());
}

#[test]
fn every_field_of_a_job_is_on_the_page_and_no_other() {
    assert_eq!(page("Job", "field"), fields_of("domain/job.rs", "Wire"));
    let bulk = |column, of| assert_eq!(page("Bulk job", column), fields_of("domain/bulk.rs", of));
    bulk("field of a bulk job", "Wire");
    bulk("field of an entry", "WireEntry");
}

#[test]
fn outcomes_codes_states_and_actions_are_those_of_the_code() {
    assert_eq!(
        page("Outcomes", "outcome"),
        texts_of("domain/outcome.rs", "Outcome", "as_str")
    );
    assert_eq!(page("Codes", "code"), texts_of("error.rs", "ErrorKind", "code"));
    assert_eq!(
        page("States", "state"),
        texts_of("domain/state.rs", "State", "as_str")
    );
    assert_eq!(
        page("Actions", "action"),
        texts_of("domain/audit.rs", "Action", "as_str")
    );
    let read = Action::ALL.map(|action| action.as_str().to_owned());
    assert_eq!(
        page("Actions", "action"),
        read.into_iter().collect(),
        "what is written is read"
    );
}

#[test]
fn every_attribute_of_the_ledger_is_on_the_page_and_no_other() {
    assert_eq!(
        page("Ledger", "attribute"),
        fields_of("domain/record.rs", "Record")
    );
    assert_eq!(
        page("Ledger", "file"),
        fields_of("domain/recording.rs", "ArchivedFile")
    );
}

#[test]
fn what_archivectl_says_to_programs_is_on_the_page_and_nothing_else() {
    let on_page = |column: &str| page("archivectl", column);
    for (column, path, of) in [
        ("error", "ops/error.rs", "Kind"),
        ("finding", "custody/finding.rs", "Code"),
        ("reason", "custody/standing.rs", "Reason"),
        ("state of a check", "ops/doctor/sheet.rs", "State"),
    ] {
        assert_eq!(on_page(column), texts_of(path, of, "as_str"), "{column}");
    }
    assert_eq!(on_page("scope"), fields_of("ops/verify/scope.rs", "Scope"));
    assert_eq!(on_page("proven"), fields_of("ops/verify/check.rs", "Proven"));
    for command in ["find", "catalog"] {
        let column = format!("summary of {command}");
        let fields = fields_of(&format!("ops/{command}.rs"), "Figures");
        assert_eq!(on_page(&column), fields, "{command}");
    }
    assert_eq!(on_page("log of verify"), fields_of("ops/verify/log.rs", "Sealed"));
    for (column, path, of) in [
        ("receipt", "ops/get.rs", "Receipt"),
        ("month of a report", "ops/report/months.rs", "Month"),
        ("genesys of a report", "ops/report/compared.rs", "Compared"),
        ("reads without an access", "ops/accesses/reads.rs", "Reads"),
    ] {
        assert_eq!(on_page(column), fields_of(path, of), "{column}");
    }
    for (command, path, of) in [
        ("get", "ops/get.rs", "Figures"),
        ("play", "ops/play.rs", "Figures"),
        ("accesses", "ops/accesses.rs", "Figures"),
        ("log verify", "ops/log/verify.rs", "Figures"),
        ("log show", "ops/log/show.rs", "Shown"),
        ("log prove", "ops/log/prove.rs", "Proof"),
        ("log import", "ops/log/import.rs", "Import"),
    ] {
        assert_eq!(
            on_page(&format!("summary of {command}")),
            fields_of(path, of),
            "{command}"
        );
    }
    for command in [
        "verify",
        "reconcile",
        "redrive",
        "report",
        "statement",
        "backfill",
    ] {
        let path = match command {
            "statement" => "ops/statement.rs".to_owned(),
            _ => format!("ops/{command}/mod.rs"),
        };
        let mut fields = fields_of(&path, "Figures");
        if command == "backfill" {
            // The first stands for its own fields, and the second is for people only.
            assert!(fields.remove("counts") && fields.remove("unreadableNow"));
            fields.extend(fields_of(&path, "Counts"));
        }
        let column = format!("summary of {command}");
        assert_eq!(on_page(&column), fields, "{command}");
    }
}

#[test]
fn every_field_and_every_reason_of_a_statement_is_on_the_page_and_no_other() {
    let reasons = texts_of("statement/reason.rs", "Reason", "as_str");
    assert_eq!(page("Statements", "reason in a statement"), reasons);
    // What stands in the second column names the fields of what lies within.
    let file = "statement/mod.rs";
    let named: BTreeSet<String> = page("Statements", "statement").into_iter().collect();
    assert_eq!(named, fields_of(file, "Statement").into_iter().collect());
    assert_eq!(page("Statements", "survey"), fields_of(file, "Survey"));
    let of_run = fields_of("statement/run.rs", "RunDocument");
    assert_eq!(page("Statements", "run of statements"), of_run);
    let text = std::fs::read_to_string(project().join("docs/interface.md")).unwrap();
    for of in [
        "Figures",
        "Open",
        "OpenRecording",
        "Part",
        "Reference",
        "Deletion",
        "Late",
        "Checked",
    ] {
        for field in fields_of(file, of)
            .into_iter()
            .filter(|field| field != "document")
        {
            assert!(text.contains(&format!("`{field}`")), "{of}: {field}");
        }
    }
}

#[test]
fn every_metric_is_on_the_page_and_no_other() {
    let metrics = texts_of("trigger/metrics.rs", "Metric", "name");
    assert_eq!(page("Metrics", "metric"), metrics);
}

#[tokio::test]
async fn no_audit_event_has_an_attribute_that_is_not_on_the_page() {
    let bench = Bench::with_a_call().await;
    invoke(&bench.handler(&[SETTLING]), job()).await.unwrap();
    let page = page("Audit", "attribute");
    let mut seen = BTreeSet::new();
    for recording in [RECORDING, "-"] {
        for event in bench.audit(CONVERSATION, recording).await {
            seen.extend(event.into_attributes().into_iter().map(|(name, _)| name));
        }
    }
    assert_eq!(seen.difference(&page).collect::<Vec<_>>(), [""; 0]);
    // The rest needs other recordings, or comes of a look that settles.
    let other = [
        "access",
        "channel",
        "clean",
        "code",
        "error",
        "files",
        "formatFound",
        "kmsKeyId",
        "lane",
        "lockMode",
        "multipart",
        "number",
        "pageHash",
        "part",
        "partName",
        "reason",
        "retainUntil",
        "settledBy",
        "versionId",
    ];
    let expected: BTreeSet<String> = seen.into_iter().chain(other.map(str::to_owned)).collect();
    assert_eq!(page.difference(&expected).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn an_exception_has_the_fields_that_the_page_names() {
    let bench = Bench::new().await;
    bench.invoke(sqs(["not JSON".to_owned()])).await.unwrap();
    let unknown = json!({"conversationId": CONVERSATION, "recordingId": RECORDING, "firstSeen": "2026-01-15T10:20:30Z"});
    bench.invoke(sqs([unknown.to_string()])).await.unwrap();
    let text = std::fs::read_to_string(project().join("docs/interface.md")).unwrap();
    let section = text
        .split("\n## ")
        .find(|section| section.starts_with("Exception queue\n"))
        .unwrap();
    let exceptions = bench.exceptions();
    assert_eq!(exceptions.len(), 2);
    for name in exceptions
        .iter()
        .flat_map(|exception| exception.as_object().unwrap().keys())
    {
        assert!(
            section.contains(&format!("\"{name}\"")) || section.contains(&format!("`{name}`")),
            "{name} is not on the page"
        );
    }
}
