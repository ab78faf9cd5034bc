//! Has the sealer seal what the audit table's stream did not bring: an import, invocation by invocation.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::functions::{Functions, NoResult};
use crate::ops::{Ended, Error, Kind, Listener, Session, Verdict};

/// An import in figures.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The sealer.
    pub function: String,
    /// Number of its invocations that ended.
    pub invocations: u64,
    /// Items of the audit table that were looked at.
    pub seen: u64,
    /// Events that were sealed now and are older than the log.
    pub imported: u64,
    /// Events that were sealed now although the stream should have brought them.
    pub sealed_late: u64,
    /// Events that the log held before.
    pub already: u64,
    /// Items that are no events, or whose hash is not theirs; none of them is sealed.
    pub refused: u64,
    /// Number of leaves of the checkpoint that was signed at the end.
    pub size: Option<u64>,
    /// Where to go on; null at the end of the table.
    pub next: Option<String>,
    /// All of the table was looked at.
    pub finished: bool,
}

/// The sealer's answer to one invocation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    seen: u64,
    imported: u64,
    sealed_late: u64,
    refused: u64,
    next: Option<String>,
}

impl Import {
    /// Returns whether the table holds items that cannot be sealed.
    pub fn verdict(&self) -> Verdict {
        match self.refused {
            0 => Verdict::Clean,
            _ => Verdict::Findings,
        }
    }

    fn add(&mut self, answer: Answer) {
        self.invocations += 1;
        self.seen += answer.seen;
        self.imported += answer.imported;
        self.sealed_late += answer.sealed_late;
        self.refused += answer.refused;
        let others = answer.imported + answer.sealed_late + answer.refused;
        self.already += answer.seen.saturating_sub(others);
        self.next = answer.next;
    }
}

/// Invokes the sealer until it has looked at all of the audit table, from `from` on (the `next` of an earlier import),
/// and has it sign a checkpoint. Whatever was sealed stays sealed, so an import can be made again at any time.
pub async fn import(session: &Session, from: Option<String>, listener: Listener<'_, ()>) -> Ended<Import> {
    let mut figures = Import {
        next: from,
        ..Import::default()
    };
    let end = all(session, &mut figures, listener).await;
    figures.finished = end.is_ok();
    Ended { figures, end }
}

async fn all(session: &Session, figures: &mut Import, listener: Listener<'_, ()>) -> Result<(), Error> {
    let name = session.log.sealer.clone().ok_or_else(|| {
        Error::new(
            Kind::Configuration,
            "the sealer is not known: SEALER_FUNCTION_NAME is not set",
        )
        .remedy("set SEALER_FUNCTION_NAME, or name the deployed stack: --stack NAME")
    })?;
    figures.function.clone_from(&name);
    let functions = Functions::new(&session.sdk);
    let ledger = session.ledger();
    let table = async { Ok::<_, Error>(ledger.audit_table().await) };
    if let Some(items) = session.unless_interrupted(table).await?.items {
        listener.total(items);
    }
    let ask = async |payload: Value, next: Option<&str>| {
        let invoked = async {
            let answer = functions.invoke(&name, &payload).await;
            answer.map_err(|failure| no_result(session, &name, failure, next))
        };
        session.unless_interrupted(invoked).await
    };
    loop {
        listener.at(format!("invocation {} of {name}", figures.invocations + 1));
        let next = figures.next.as_deref();
        let payload = match next {
            Some(next) => json!({"import": {"from": next}}),
            None => json!({"import": {}}),
        };
        let answer = ask(payload, next).await?;
        let answer = Answer::deserialize(&answer).map_err(|_| {
            let message = format!("the function {name} answered {answer}, which is not what a sealer says");
            let remedy =
                "check SEALER_FUNCTION_NAME; if it is right, update the stack to the version of archivectl";
            Error::new(Kind::Configuration, message).remedy(remedy)
        })?;
        let seen = answer.seen;
        figures.add(answer);
        listener.steps(seen);
        if figures.next.is_none() {
            break;
        }
    }
    // What is sealed is proven by a checkpoint, which is delivered outside as well.
    listener.at("a checkpoint");
    let signed = ask(json!({"checkpoint": true}), None).await?;
    figures.size = signed["size"].as_u64();
    Ok(())
}

/// Returns an error that names function, region and permission, and where to go on.
fn no_result(session: &Session, name: &str, failure: NoResult, next: Option<&str>) -> Error {
    let region = session.sdk.region().map_or("no region", |region| region.as_ref());
    let again = match next {
        Some(next) => format!("what is sealed stays sealed; go on with archivectl log import --from {next}"),
        None => "what is sealed stays sealed; run archivectl log import again".to_owned(),
    };
    match failure {
        NoResult::Refused { code, error } => {
            let error = Error::from(error);
            match code.as_deref() {
                Some("AccessDeniedException" | "AccessDenied") => error.remedy(format!(
                    "the caller needs lambda:InvokeFunction on {name} in {region}; the template's OperatorRole does not \
                     have it: use the role that deploys the stack"
                )),
                Some("ResourceNotFoundException") => error.remedy(format!(
                    "there is no function {name} in {region}: check SEALER_FUNCTION_NAME and the region, or name the \
                     deployed stack: --stack NAME"
                )),
                _ if error.unreachable().is_some() => error,
                _ => error.remedy(format!("in {region}: {again}")),
            }
        }
        NoResult::Failed { kind, message } => {
            let message = format!("the function {name} in {region} failed: {kind}: {message}");
            let error = Error::new(Kind::Service, message);
            match kind.as_str() {
                "malformed_job" => {
                    error.remedy("leave --from out: the import starts over, and seals nothing twice")
                }
                _ => error.remedy(format!("its log says more; {again}")),
            }
        }
    }
}
