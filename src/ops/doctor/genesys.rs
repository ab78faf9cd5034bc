//! Checks of Genesys: secret, token, clock and permissions.

use jiff::Timestamp;

use super::sheet::{PATIENCE, Said};
use super::{Doctor, judge};
use crate::aws::secrets::WebhookKeys;
use crate::domain::call::Extent;
use crate::domain::days::day_of;
use crate::domain::format::RecordingApi;
use crate::domain::job::Job;
use crate::domain::recording::{ConversationId, RecordingId};
use crate::genesys::Genesys;
use crate::ops::error::{Error, Kind};

/// An id of no conversation and no recording. Treats "not found" as permission granted: a client without permission
/// gets 403 instead.
const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

/// The remedy of a missing permission for recordings.
const GRANT: &str = "grant the OAuth client's role this permission, for all divisions that are archived";

/// The remedy of a missing permission for lists.
const ONLY: &str = "the function settles conversations with it, and archivectl backfill --from and reconcile need it: \
     analytics:conversationDetail:view";

impl Doctor<'_> {
    pub(super) async fn genesys(&mut self) -> Result<(), Error> {
        let genesys = self.session.genesys()?;
        self.secret().await?;
        self.reach(&genesys).await?;
        self.recordings(&genesys).await?;
        self.analytics().await?;
        self.names(&genesys).await
    }

    async fn secret(&mut self) -> Result<(), Error> {
        let (config, secrets) = (&self.session.config, self.secrets.clone());
        let id = &config.genesys.secret_id;
        self.sheet
            .check(
                "secret",
                &["aws_credentials"],
                "check GENESYS_SECRET_ID; grant secretsmanager:GetSecretValue (and kms:Decrypt for a key of yours); fill it \
                 as docs/deploy.md says",
                async {
                    let credentials = secrets.get().await?;
                    Ok(match &credentials.webhook {
                        WebhookKeys::None if config.webhook_url.is_some() => Said::warning(
                            format!("{id} has no webhookSecret: notifications are not signed, and are kept back where they must be"),
                            "add webhookSecret to the secret, and give it to the receiver",
                        ),
                        WebhookKeys::Misspelt(why) | WebhookKeys::Unusable(why)
                            if config.webhook_url.is_some() =>
                        {
                            Said::warning(
                                format!("{id} cannot sign the webhook: {why}"),
                                "correct webhookSecret in the secret; until then notifications are kept back",
                            )
                        }
                        WebhookKeys::Keys(_)
                        | WebhookKeys::None
                        | WebhookKeys::Misspelt(_)
                        | WebhookKeys::Unusable(_) => {
                            Said::Ok(format!("{id} can be read, and has all that is needed"))
                        }
                    })
                },
            )
            .await
    }

    /// Checks token and clock.
    async fn reach(&mut self, genesys: &Genesys) -> Result<(), Error> {
        let session = self.session;
        self.sheet
            .check(
                "token",
                &["secret"],
                "use an OAuth client with the grant type client credentials, of the organisation in GENESYS_CLOUD_REGION",
                async {
                    genesys.log_in(&session.deadline(PATIENCE)).await?;
                    Ok(Said::Ok(format!("granted by {}", session.config.genesys.login_base)))
                },
            )
            .await?;
        let fix = "synchronise this machine's clock (NTP); if Genesys cannot be reached, check GENESYS_CLOUD_REGION, proxy \
                    and firewall";
        self.sheet
            .check("clock", &[], fix, async {
                let there = genesys.time().await?;
                Ok(judge::skew(session.now(), there))
            })
            .await
    }

    /// Checks the permissions for recordings. Each check has a deadline of its own, so that a slow one does not fail
    /// the next.
    async fn recordings(&mut self, genesys: &Genesys) -> Result<(), Error> {
        let session = self.session;
        let invalid = |error: crate::domain::recording::NotAnId| Error::new(Kind::Defect, error.to_string());
        let nowhere = RecordingId::parse(NOWHERE).map_err(invalid)?;
        let mut job = Job::new(ConversationId::parse(NOWHERE).map_err(invalid)?);
        job.recording = Some(nowhere);
        self.sheet
            .check("list_recordings", &["token"], GRANT, async {
                genesys.may_list(&job, &session.deadline(PATIENCE)).await?;
                Ok(Said::ok("the list of recordings may be read"))
            })
            .await?;
        if session.config.genesys.api != RecordingApi::Conversations {
            return Ok(());
        }
        self.sheet
            .check("read_recordings", &["token"], GRANT, async {
                let format = session.config.recording.format;
                let deadline = session.deadline(PATIENCE);
                genesys.may_open(&job, nowhere, format, &deadline).await?;
                Ok(Said::ok("recordings may be read"))
            })
            .await
    }

    /// Checks the permission for lists of conversations.
    async fn analytics(&mut self) -> Result<(), Error> {
        let session = self.session;
        let analytics = session.analytics()?;
        let warned = |error: crate::error::Error| Said::warning(error.to_string(), ONLY);
        self.sheet
            .check("analytics_jobs", &["token"], ONLY, async {
                let available = analytics.available_until(&session.deadline(PATIENCE)).await;
                Ok(available.map_or_else(warned, |until| {
                    Said::Ok(format!("history is complete until {until}"))
                }))
            })
            .await?;
        self.sheet
            .check("analytics_query", &["token"], ONLY, async {
                let deadline = session.deadline(PATIENCE);
                let listed = async {
                    // No job covers anything before the epoch, so that the query is used.
                    let today = day_of(session.now());
                    let mut day = analytics.day(today, Timestamp::UNIX_EPOCH, &deadline).await?;
                    day.next_page(&deadline).await
                };
                Ok(listed
                    .await
                    .map_or_else(warned, |_| Said::ok("conversations may be listed")))
            })
            .await
    }

    /// Checks the permissions for the names in call records.
    async fn names(&mut self, genesys: &Genesys) -> Result<(), Error> {
        let session = self.session;
        let fix = "grant the OAuth client's role routing:queue:view and routing:wrapupCode:view, for all divisions that are \
                   archived";
        self.sheet
            .check("names", &["token"], fix, async {
                if session.config.call_record == Extent::Off {
                    return Ok(Said::ok("not needed: no call records are kept (CALL_RECORD)"));
                }
                let denied = genesys.unnamed(NOWHERE, &session.deadline(PATIENCE)).await?;
                if denied.is_empty() {
                    return Ok(Said::ok(
                        "users, queues, wrap-up codes and divisions may be named",
                    ));
                }
                let denied = denied
                    .iter()
                    .map(|(kind, permission)| format!("{kind} ({permission})"));
                let denied = denied.collect::<Vec<_>>().join(", ");
                Ok(Said::warning(
                    format!("call records hold ids without names of {denied}"),
                    fix,
                ))
            })
            .await
    }
}
