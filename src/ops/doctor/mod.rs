//! Checks each thing that the archiver needs, with a remedy for each problem.

mod aws;
mod evidence;
mod genesys;
mod judge;
mod log;
mod organisation;
mod policies;
mod sheet;

use std::sync::Arc;

use super::error::Error;
use super::{Ended, Listener, Session, credentials};
use crate::aws::secrets::{Secrets, WebhookKeys};
use crate::webhook::Webhook;
pub use sheet::{Check, Figures, State};
use sheet::{PATIENCE, Said, Sheet};

/// The check of the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookCheck {
    /// Check its configuration only.
    Configuration,
    /// Send a signed test event to its receiver.
    TestEvent,
}

/// The check of the bucket's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Read it.
    Read,
    /// Also send a put that it has to refuse, and that is never stored.
    Probe,
}

/// Checks a set-up, one thing after the other.
pub async fn doctor(
    session: &Session,
    webhook: WebhookCheck,
    policy: Policy,
    listener: Listener<'_, Check>,
) -> Ended<Figures> {
    let mut doctor = Doctor {
        session,
        secrets: session.secrets(),
        sheet: Sheet::new(session, listener),
    };
    let end = doctor.all(webhook, policy).await;
    Ended {
        figures: doctor.sheet.figures(&end),
        end,
    }
}

struct Doctor<'a> {
    session: &'a Session,
    secrets: Arc<Secrets>,
    sheet: Sheet<'a>,
}

impl Doctor<'_> {
    async fn all(&mut self, webhook: WebhookCheck, policy: Policy) -> Result<(), Error> {
        self.configuration().await?;
        self.genesys().await?;
        self.organisation().await?;
        self.storage().await?;
        self.tables_and_queues().await?;
        self.evidence(policy).await?;
        self.log().await?;
        self.webhook(webhook).await
    }

    async fn configuration(&mut self) -> Result<(), Error> {
        let session = self.session;
        let (genesys, bucket) = (&session.config.genesys, &session.config.storage.bucket);
        let told = format!(
            "{} API at {}, bucket {bucket}",
            genesys.api.as_str(),
            genesys.api_base
        );
        self.sheet
            .check(
                "configuration",
                &[],
                "see the README's table of variables",
                async { Ok(Said::Ok(told)) },
            )
            .await?;
        self.sheet
            .check(
                "aws_credentials",
                &[],
                "check where the credentials come from (AWS_PROFILE)",
                async {
                    let region = credentials::region(&session.sdk)?;
                    credentials::can_sign(&session.sdk).await?;
                    Ok(Said::Ok(format!("found, region {region}")))
                },
            )
            .await
    }

    async fn webhook(&mut self, check: WebhookCheck) -> Result<(), Error> {
        let session = self.session;
        let secrets = self.secrets.clone();
        let clock = session.clock.clone();
        let webhook = Webhook::new(&session.config, secrets.clone(), clock, Arc::default())?;
        let Some(webhook) = webhook else {
            let none = async { Ok(Said::ok("none is configured (WEBHOOK_URL)")) };
            return self.sheet.check("webhook", &[], "", none).await;
        };
        if check == WebhookCheck::Configuration {
            let unsent = async { Ok(Said::ok("configured; --webhook sends a test event")) };
            return self.sheet.check("webhook", &[], "", unsent).await;
        }
        self.sheet
            .check(
                "webhook",
                &["secret"],
                "check WEBHOOK_URL; the receiver must answer 2xx to any event whose signature is right, also to ones it does \
                 not know",
                async {
                    webhook.test(&session.deadline(PATIENCE)).await?;
                    let signed = matches!(secrets.get().await?.webhook, WebhookKeys::Keys(_));
                    let event = if signed { "signed test event" } else { "test event, which is not signed" };
                    Ok(Said::Ok(format!("the receiver took the {event}")))
                },
            )
            .await
    }
}
