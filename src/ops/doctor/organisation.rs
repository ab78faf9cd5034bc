//! Checks of the organisation at Genesys: permissions of the client, limits, topics of events.

use super::Doctor;
use super::sheet::{PATIENCE, Said};
use crate::clock::Deadline;
use crate::domain::format::MediaKind;
use crate::domain::format::RecordingApi;
use crate::error::ErrorKind;
use crate::genesys::{Genesys, Limit, Topic};
use crate::ops::{Error, Session};

/// The effects of missing permissions.
const CALLS: &str = "calls, chats, e-mails and messages need it, unless the role has recording:recordingSegment:view instead: \
     grant it to the OAuth client's role, for all divisions that are archived";
const ORPHANS: &str =
    "only needed to name the orphan of a conversation that never ends: grant it to the OAuth client's role";

/// The namespaces of limits that bound archiving.
const NAMESPACES: [&str; 3] = ["platform.api", "recording", "analytics.data.extraction"];

/// The remedy of batch downloads that cannot be asked for.
const BATCHES: &str = "check GENESYS_BULK_SECRET_ID: a secret with clientId and clientSecret of an OAuth client of the same \
     organisation; grant secretsmanager:GetSecretValue on it";

/// Minutes for which the URLs of a batch download are valid, unless the organisation says otherwise. Polls end before.
const URL_MINUTES: u32 = 60;

/// The ends of conversations that the function understands.
const ENDS: [&str; 3] = ["customer.end", "user.end", "acd.end"];

impl Doctor<'_> {
    /// Checks the permissions of the client, and the limits and topics of the organisation.
    pub(super) async fn organisation(&mut self) -> Result<(), Error> {
        let session = self.session;
        if session.config.genesys.api != RecordingApi::Conversations {
            return Ok(());
        }
        let genesys = session.genesys()?;
        let deadline = || session.deadline(PATIENCE);
        let reach = "check that Genesys can be reached (token), and look again";
        let needs = &["token"];
        self.sheet
            .check("recording_view", needs, reach, async {
                let asked = genesys.may_view_calls(&deadline()).await;
                held(asked, "recording:recording:view", CALLS)
            })
            .await?;
        self.sheet
            .check("orphan_view", needs, reach, async {
                let asked = genesys.may_view_orphans(&deadline()).await;
                held(asked, "recording:orphan:view", ORPHANS)
            })
            .await?;
        let media = &session.config.recording.media;
        self.sheet
            .check("other_permissions", needs, reach, async { Ok(not_told(media)) })
            .await?;
        self.sheet
            .check("limits", needs, reach, async {
                limits(&genesys, &deadline()).await
            })
            .await?;
        self.sheet
            .check("batch_downloads", needs, BATCHES, async {
                batches(session, &genesys, &deadline()).await
            })
            .await?;
        self.sheet
            .check("topics", needs, reach, async {
                Ok(offered(&genesys.topics(&deadline()).await?))
            })
            .await
    }
}

fn held(asked: Result<(), crate::error::Error>, permission: &str, fix: &str) -> Result<Said, Error> {
    match asked {
        Ok(()) => Ok(Said::Ok(format!("{permission} is held"))),
        Err(error) if error.kind() == ErrorKind::Forbidden => {
            Ok(Said::warning(format!("{permission} is not held"), fix))
        }
        // An organisation without that operation does not say.
        Err(error) if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotReady { .. }) => {
            Ok(Said::Unknown(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Names the permissions that Genesys cannot be asked about, as no operation needs just one of them.
fn not_told(media: &[MediaKind]) -> Said {
    let mut permissions = Vec::new();
    if media.contains(&MediaKind::Audio) {
        permissions.push("recording:snippetRecording:view (snippets)");
    }
    if media.contains(&MediaKind::Screen) {
        permissions.push("recording:screenRecording:view (screens)");
    }
    permissions.push("recording:recording:viewSensitiveData (without it, copies are redacted)");
    Said::Unknown(format!(
        "Genesys cannot be asked; check that the role has: {}",
        permissions.join(", ")
    ))
}

/// Checks the client that asks for batch downloads, and how long their URLs are valid.
async fn batches(session: &Session, genesys: &Genesys, deadline: &Deadline) -> Result<Said, Error> {
    genesys.log_in_for_batches(deadline).await?;
    let client = match &session.config.genesys.bulk_secret_id {
        Some(id) => {
            let asked = genesys.may_view_batches(deadline).await;
            if asked.is_err_and(|error| error.kind() == ErrorKind::Forbidden) {
                let lacks = format!("recording:recording:view is not held by the client of {id}");
                return Ok(Said::warning(lacks, CALLS));
            }
            format!("by the client of {id}")
        }
        None => "by the client of live calls, whose limit of requests they share".to_owned(),
    };
    Ok(match genesys.batch_url_minutes(deadline).await? {
        Some(minutes) if minutes < URL_MINUTES => Said::warning(
            format!("{client}; their URLs are valid for {minutes} minutes"),
            "set recordingBatchDownloadUrlTtl of Genesys' recording settings to 60: what expires is asked for again",
        ),
        Some(minutes) => Said::Ok(format!("{client}; their URLs are valid for {minutes} minutes")),
        None => Said::Unknown(format!(
            "{client}; Genesys does not say how long their URLs are valid"
        )),
    })
}

/// Asks for the limits that bound archiving.
async fn limits(genesys: &Genesys, deadline: &Deadline) -> Result<Said, Error> {
    let mut told = Vec::new();
    let mut all = Vec::new();
    for namespace in NAMESPACES {
        let limits = genesys.limits(namespace, deadline).await?;
        told.push(format!("{namespace}: {}", listed(&limits)));
        all.extend(limits);
    }
    let detail = told.join("; ");
    Ok(match brief(&all) {
        Some(brief) => Said::Long { brief, detail },
        None => Said::Ok(detail),
    })
}

/// Returns what bounds the function, which has one token: the least of the limits that count requests of a token.
fn brief(limits: &[Limit]) -> Option<String> {
    let own = limits.iter().filter(|limit| is_of_a_token(limit));
    let least = own.map(|limit| limit.value).min()?;
    let others = limits.len() - 1;
    Some(format!(
        "{least} requests a minute for a token; -v names {others} other limits"
    ))
}

fn is_of_a_token(limit: &Limit) -> bool {
    limit.key.contains("token.rate.per.minute")
}

/// Names the limits of a token first, as they are those of the function.
fn listed(limits: &[Limit]) -> String {
    if limits.is_empty() {
        return "none".to_owned();
    }
    let (own, others): (Vec<_>, Vec<_>) = limits.iter().partition(|limit| is_of_a_token(limit));
    let named = own.iter().chain(&others);
    let named: Vec<_> = named
        .map(|limit| format!("{} {}", limit.key, limit.value))
        .collect();
    named.join(", ")
}

/// Names the topics about ends or recordings that EventBridge offers.
fn offered(topics: &[Topic]) -> Said {
    if topics.iter().all(|topic| topic.transports.is_empty()) {
        return Said::Unknown("Genesys does not say which topics EventBridge offers".to_owned());
    }
    let on_bridge = || topics.iter().filter(|topic| topic.is_on_event_bridge());
    let end_of = |name: &str| format!("v2.detail.events.conversation.{{id}}.{name}");
    let ends: Vec<_> = ENDS
        .into_iter()
        .filter(|name| on_bridge().any(|topic| topic.id == end_of(name)))
        .collect();
    let about_recordings =
        |topic: &&Topic| topic.id.contains("recording") || topic.id.starts_with("v2.audits.");
    let recordings: Vec<_> = on_bridge()
        .filter(about_recordings)
        .map(|topic| topic.id.as_str())
        .collect();
    let some = |names: &[&str]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let told = format!(
        "EventBridge offers conversation ends: {}; about recordings: {}",
        some(&ends),
        some(&recordings)
    );
    if ends.contains(&ENDS[0]) {
        Said::Ok(told)
    } else {
        let fix = "without customer.end nothing is archived by itself: ask Genesys, or send jobs (archivectl backfill)";
        Said::warning(told, fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(id: &str, transports: &[&str]) -> Topic {
        Topic {
            id: id.to_owned(),
            transports: transports.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn topics_are_told_by_what_they_are_good_for() {
        let end = "v2.detail.events.conversation.{id}.customer.end";
        let recordings = "v2.users.{id}.conversations.{id}.recordings";
        let offers = [
            topic(end, &["Websocket", "EventBridge"]),
            topic(recordings, &["Websocket"]),
        ];
        let Said::Ok(told) = offered(&offers) else {
            panic!()
        };
        assert_eq!(
            told,
            "EventBridge offers conversation ends: customer.end; about recordings: none"
        );
        let more = [
            topic(end, &["event-bridge"]),
            topic(recordings, &["EVENT_BRIDGE"]),
        ];
        let Said::Ok(told) = offered(&more) else { panic!() };
        assert!(told.ends_with(recordings), "{told}");
        assert!(matches!(
            offered(&[topic(end, &["Websocket"])]),
            Said::Warning { .. }
        ));
        assert!(matches!(offered(&[topic(end, &[])]), Said::Unknown(_)));
        assert!(matches!(offered(&[]), Said::Unknown(_)));
    }

    #[test]
    fn people_read_the_limit_of_a_token_and_all_of_them_on_request() {
        let limit = |key: &str, value| Limit {
            key: key.to_owned(),
            value,
        };
        assert_eq!((listed(&[]), brief(&[])), ("none".to_owned(), None));
        let many = [
            limit("a", 7),
            limit("token.rate.per.minute", 300),
            limit("b", 9),
            limit("client.credentials.token.rate.per.minute", 200),
        ];
        assert_eq!(
            listed(&many),
            "token.rate.per.minute 300, client.credentials.token.rate.per.minute 200, a 7, b 9"
        );
        let brief = brief(&many).unwrap();
        assert_eq!(
            brief,
            "200 requests a minute for a token; -v names 3 other limits"
        );
    }

    #[test]
    fn what_cannot_be_asked_is_named_by_what_is_archived() {
        let Said::Unknown(told) = not_told(&[MediaKind::Screen]) else {
            panic!()
        };
        assert!(
            told.contains("screenRecording") && told.contains("viewSensitiveData"),
            "{told}"
        );
        assert!(!told.contains("snippet"), "{told}");
    }
}
