//! The jobs in messages of the exception queue, of a dead-letter queue or of Lambda's failure destination.

use crate::config::Config;
use crate::domain::format::Format;
use crate::error::ErrorKind;
use crate::trigger::event::{self, Request, Wanted};
use serde_json::Value;

/// A message that holds a job.
#[derive(Debug, PartialEq)]
pub(super) struct Case {
    /// The body for the work queue.
    pub(super) body: String,
    /// The code of the exception.
    pub(super) code: Option<String>,
}

/// Returns the job or event in a message: bare, as a case of the exception queue, or as Lambda's record of a failed
/// asynchronous invocation (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>).
pub(super) fn case(body: &str, config: &Config) -> Result<Case, String> {
    let value: Value = serde_json::from_str(body).map_err(|_| "its body is not JSON".to_owned())?;
    let (request, code) = if let Some(payload) = value.get("requestPayload") {
        (payload.to_string(), value["requestContext"]["condition"].as_str())
    } else if let Some(job) = value.get("job") {
        (job.to_string(), value["code"].as_str())
    } else if value["body"].get("sha256").is_some() {
        return Err(
            "what came was not JSON, so only its length and SHA-256 were kept: it cannot be sent again"
                .to_owned(),
        );
    } else if let (Some(text), Some(code)) = (value["body"].as_str(), value["code"].as_str()) {
        (text.to_owned(), Some(code))
    } else {
        (body.to_owned(), None)
    };
    let request = renewed(request, code);
    // Whether batch downloads fit is the function's to say: this configuration may lack its format and its queue.
    let wanted = Wanted {
        format: Format::Original,
        defers: true,
        ..Wanted::of(config)
    };
    match event::from_body(&request, &wanted) {
        Ok(Request::Archive { .. } | Request::Bulk { .. }) => Ok(Case {
            body: request,
            code: code.map(str::to_owned),
        }),
        Ok(Request::Nothing { why }) => Err(format!("it asks for nothing: {why}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the job without the fields that its former runs added, so that waiting begins again. A conversation whose
/// after-call work was open is looked at again, whatever happened since. A look keeps its number, by which the function
/// recognises a look that was taken since.
fn renewed(request: String, code: Option<&str>) -> String {
    let Ok(Value::Object(mut job)) = serde_json::from_str(&request) else {
        return request;
    };
    let mut changed = false;
    // Of a bulk job the batch download, whose results have expired.
    for field in ["firstSeen", "deferrals", "notBefore", "batch"] {
        changed |= job.remove(field).is_some();
    }
    if code == Some(ErrorKind::AfterCallWorkOpen.code()) {
        job.remove("look");
        changed |= job.insert("recheck".to_owned(), true.into()) != Some(true.into());
    }
    if changed {
        Value::Object(job).to_string()
    } else {
        request
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        Config::from_lookup(|name| match name {
            "GENESYS_SECRET_ID" | "S3_BUCKET_NAME" | "AUDIT_TABLE_NAME" | "LEDGER_TABLE_NAME" => {
                Some(name.to_lowercase().replace('_', "-"))
            }
            _ => None,
        })
        .unwrap()
    }

    #[test]
    fn a_job_is_found_in_whatever_wraps_it() {
        const JOB: &str = r#"{"conversationId":"c0000000-0000-4000-8000-000000000001"}"#;
        let job: Value = serde_json::from_str(JOB).unwrap();
        for (message, code) in [
            (job.clone(), None),
            (json!({"code": "forbidden", "job": job}), Some("forbidden")),
            (json!({"code": "panic", "body": JOB}), Some("panic")),
            (
                json!({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": job}),
                Some("RetriesExhausted"),
            ),
        ] {
            let found = case(&message.to_string(), &config()).unwrap();
            assert_eq!((found.body.as_str(), found.code.as_deref()), (JOB, code));
        }
        let mut waited = job;
        waited["firstSeen"] = "2026-01-05T12:00:00Z".into();
        waited["deferrals"] = 9.into();
        for message in [waited.clone(), json!({"code": "never_ready", "job": waited})] {
            let found = case(&message.to_string(), &config()).unwrap();
            assert_eq!(found.body, JOB, "it is waited for anew");
        }
        let looked = json!({"conversationId": waited["conversationId"], "look": 9, "notBefore": "2026-01-05T12:00:00Z"});
        let found = case(&looked.to_string(), &config()).unwrap();
        let kept: Value = serde_json::from_str(&found.body).unwrap();
        assert_eq!(kept["look"], 9, "a dead letter: a look that was not taken");
        assert!(kept.get("notBefore").is_none());
        let bulk = json!({"bulk": [{"conversationId": waited["conversationId"]}], "format": "original"});
        let mut polled = bulk.clone();
        polled["batch"] = json!({"id": "b-1", "polls": 7});
        polled["deferrals"] = 1.into();
        let found = case(&polled.to_string(), &config()).unwrap();
        let again: Value = serde_json::from_str(&found.body).unwrap();
        assert_eq!(
            again, bulk,
            "a new batch download, as the URLs of that one have expired"
        );
        let open = json!({"code": "after_call_work_open", "job": looked});
        let found = case(&open.to_string(), &config()).unwrap();
        let again: Value = serde_json::from_str(&found.body).unwrap();
        assert_eq!(
            again,
            json!({"conversationId": looked["conversationId"], "recheck": true})
        );
        for hopeless in [
            "{",
            "[]",
            r#"{"code":"malformed_job","body":"{"}"#,
            r#"{"code":"malformed_job","body":{"bytes":3,"sha256":"ab"}}"#,
            r#"{"conversationId":"x"}"#,
        ] {
            assert!(case(hopeless, &config()).is_err(), "{hopeless}");
        }
    }
}
