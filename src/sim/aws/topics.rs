//! SNS: topics, and the messages that were published to them. Nobody subscribes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use url::form_urlencoded;

use crate::sim::names::{ACCOUNT_ID, REGION};

/// Longest message in bytes: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
const LONGEST_MESSAGE: usize = 262_144;

/// The topics by ARN, each with its messages.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<BTreeMap<String, Vec<String>>>);

/// An error of SNS: its code, its status, and its message.
type Refusal = (&'static str, StatusCode, &'static str);

impl Topics {
    /// Answers a request of the query protocol.
    pub(super) fn call(&self, body: &[u8]) -> Response<Body> {
        let request: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let text = |name: &str| request.get(name).map(String::as_str).unwrap_or_default();
        let action = text("Action");
        let answer = match action {
            "CreateTopic" => Ok(self.create(text("Name"))),
            "Publish" => self.publish(text("TopicArn"), text("Message")),
            _ => Err((
                "InvalidAction",
                StatusCode::BAD_REQUEST,
                "SNS simulator: not simulated",
            )),
        };
        let (status, xml) = match answer {
            Ok(result) => (
                StatusCode::OK,
                format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"),
            ),
            Err((code, status, message)) => (
                status,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                     </ErrorResponse>"
                ),
            ),
        };
        let mut response = Response::new(Body::from(xml));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("text/xml");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>
    fn create(&self, name: &str) -> String {
        let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}");
        self.lock().entry(arn.clone()).or_default();
        format!("<TopicArn>{arn}</TopicArn>")
    }

    /// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
    fn publish(&self, arn: &str, message: &str) -> Result<String, Refusal> {
        if message.is_empty() || message.len() > LONGEST_MESSAGE {
            let why = "Invalid parameter: Message too long or empty";
            return Err(("InvalidParameter", StatusCode::BAD_REQUEST, why));
        }
        let mut topics = self.lock();
        let Some(messages) = topics.get_mut(arn) else {
            return Err(("NotFound", StatusCode::NOT_FOUND, "Topic does not exist"));
        };
        messages.push(message.to_owned());
        Ok(format!("<MessageId>{:036}</MessageId>", messages.len()))
    }

    /// Returns the messages of a topic.
    pub(super) fn published(&self, arn: &str) -> Vec<String> {
        self.lock().get(arn).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
