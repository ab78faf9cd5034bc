//! `archivectl doctor`: looks at each thing that the archiver needs, and says how to mend what is not right.

mod aws;
mod judge;
mod organisation;
mod sheet;

use std::sync::Arc;

use aws_sdk_s3::config::ProvideCredentials as _;
use jiff::Timestamp;
use recording_archiver::archive::job::Job;
use recording_archiver::archive::recording::{ConversationId, RecordingId};
use recording_archiver::aws::secrets::{Secrets, WebhookKeys};
use recording_archiver::config::RecordingApi;
use recording_archiver::genesys::Genesys;
use recording_archiver::genesys::analytics::Analytics;
use recording_archiver::webhook::Webhook;

use crate::out::Out;
use crate::session::Session;
use crate::{Failure, Verdict};
use sheet::{PATIENCE, Said, Sheet};

/// Check a set-up, line by line, and say how to mend what is not right.
///
/// Uses your AWS credentials, not the function's role: what is denied to you here may be granted to the function, and the
/// reverse. Reads the secret and never shows it. Writes one small object, archivectl-doctor/..., into the bucket and
/// deletes it; sends nothing to the queues, and to the webhook's receiver only with --webhook.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl doctor --stack recording-archiver
  archivectl doctor --webhook     also sends a test event to the webhook's receiver

Exit code 1: there are problems. Warnings alone are no problem.
Genesys cannot be asked which divisions the OAuth client may see: what it may not see looks like no recording at all.")]
pub(crate) struct Args {
    /// Send a signed test event to the webhook's receiver.
    #[arg(long)]
    webhook: bool,
}

/// Neither exists: an answer that there is no such thing proves that the question is allowed.
const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

pub(crate) async fn run(args: &Args, session: &Session, out: Out) -> Result<Verdict, Failure> {
    let mut doctor = Doctor {
        session,
        secrets: session.secrets(),
        sheet: Sheet::new(session, out),
    };
    let config = &session.config;
    doctor
        .sheet
        .check(
            "configuration",
            &[],
            "see the README's table of variables",
            async {
                let (genesys, bucket) = (&config.genesys, &config.storage.bucket);
                Ok(Said::Ok(format!(
                    "{} API at {}, bucket {bucket}",
                    genesys.api.as_str(),
                    genesys.api_base
                )))
            },
        )
        .await;
    doctor
        .sheet
        .check(
            "aws_credentials",
            &[],
            "set AWS_PROFILE, or log in (aws sso login); and set AWS_REGION",
            credentials(session),
        )
        .await;
    doctor.genesys().await?;
    doctor.organisation().await?;
    doctor.aws().await;
    doctor.webhook(args.webhook).await?;
    Ok(doctor.sheet.summary())
}

struct Doctor<'a> {
    session: &'a Session,
    secrets: Arc<Secrets>,
    sheet: Sheet<'a>,
}

impl Doctor<'_> {
    /// From the secret to each permission.
    async fn genesys(&mut self) -> Result<(), Failure> {
        let session = self.session;
        let config = &session.config;
        let secrets = self.secrets.clone();
        let genesys = Genesys::new(config, secrets.clone(), Arc::default())?;
        let analytics = Analytics::new(config, secrets.clone(), Arc::default())?;
        // Each check has a deadline of its own, so that a slow one is not held against the next.
        let deadline = || session.deadline(PATIENCE);
        let mut job = Job::new(ConversationId::parse(NOWHERE)?);
        let nowhere = RecordingId::parse(NOWHERE)?;
        job.recording = Some(nowhere);
        self.sheet.check(
            "secret",
            &["aws_credentials"],
            "check GENESYS_SECRET_ID; grant secretsmanager:GetSecretValue (and kms:Decrypt for a key of yours); fill it as \
             docs/deploy.md says",
            async {
                let credentials = secrets.get().await?;
                let id = &config.genesys.secret_id;
                match &credentials.webhook {
                    _ if config.webhook_url.is_none() => {}
                    WebhookKeys::Keys(_) => {}
                    WebhookKeys::None => {
                        return Ok(Said::warning(
                            format!("{id} has no webhookSecret: notifications are not signed, and are kept back where they must be"),
                            "add webhookSecret to the secret, and give it to the receiver",
                        ));
                    }
                    WebhookKeys::Misspelt(why) | WebhookKeys::Unusable(why) => {
                        return Ok(Said::warning(
                            format!("{id} cannot sign the webhook: {why}"),
                            "correct webhookSecret in the secret; until then notifications are kept back",
                        ));
                    }
                }
                Ok(Said::Ok(format!("{id} can be read, and has all that is needed")))
            },
        )
        .await;
        self.sheet.check(
            "token",
            &["secret"],
            "use an OAuth client with the grant type client credentials, of the organisation in GENESYS_CLOUD_REGION",
            async {
                genesys.log_in(&deadline()).await?;
                Ok(Said::Ok(format!("granted by {}", config.genesys.login_base)))
            },
        )
        .await;
        let mend = "synchronise this machine's clock (NTP); if Genesys cannot be reached, check GENESYS_CLOUD_REGION, proxy \
                    and firewall";
        self.sheet
            .check("clock", &[], mend, async {
                let there = genesys.time().await?;
                judge::skew(session.clock.now(), there).map_err(Into::into)
            })
            .await;
        let grant = "grant the OAuth client's role this permission, for all divisions that are archived";
        self.sheet
            .check("list_recordings", &["token"], grant, async {
                genesys.may_list(&job, &deadline()).await?;
                Ok(Said::Ok("the list of recordings may be read".to_owned()))
            })
            .await;
        if config.genesys.api == RecordingApi::Conversations {
            self.sheet
                .check("read_recordings", &["token"], grant, async {
                    genesys
                        .may_open(&job, nowhere, config.recording.format, &deadline())
                        .await?;
                    Ok(Said::Ok("recordings may be read".to_owned()))
                })
                .await;
        }
        let only = "the function settles conversations with it, and archivectl backfill --from and reconcile need it: \
                    analytics:conversationDetail:view";
        let warned = |error: recording_archiver::error::Error| Said::warning(error.to_string(), only);
        self.sheet
            .check("analytics_jobs", &["token"], only, async {
                let available = analytics.available_until(&deadline()).await;
                Ok(available.map_or_else(warned, |until| {
                    Said::Ok(format!("history is complete until {until}"))
                }))
            })
            .await;
        self.sheet
            .check("analytics_query", &["token"], only, async {
                let today = session
                    .clock
                    .now()
                    .to_zoned_datetime(jiff::tz::TimeZone::UTC)
                    .date();
                let deadline = deadline();
                let listed = async {
                    // Nothing is covered by jobs then, so the query is asked.
                    let mut day = analytics.day(today, Timestamp::UNIX_EPOCH, &deadline).await?;
                    day.next_page(&deadline).await
                };
                Ok(listed
                    .await
                    .map_or_else(warned, |_| Said::Ok("conversations may be listed".to_owned())))
            })
            .await;
        Ok(())
    }

    /// What the client may see of the organisation, and what the organisation allows.
    async fn organisation(&mut self) -> Result<(), Failure> {
        let session = self.session;
        let config = &session.config;
        if config.genesys.api != RecordingApi::Conversations {
            return Ok(());
        }
        let genesys = Genesys::new(config, self.secrets.clone(), Arc::default())?;
        let deadline = || session.deadline(PATIENCE);
        let reach = "check that Genesys can be reached (token), and look again";
        self.sheet
            .check("recording_view", &["token"], reach, async {
                organisation::calls(&genesys, &deadline()).await
            })
            .await;
        self.sheet
            .check("orphan_view", &["token"], reach, async {
                organisation::orphans(&genesys, &deadline()).await
            })
            .await;
        let media = &config.recording.media;
        self.sheet
            .check("other_permissions", &["token"], reach, async {
                Ok(organisation::not_told(media))
            })
            .await;
        self.sheet
            .check("limits", &["token"], reach, async {
                organisation::limits(&genesys, &deadline()).await
            })
            .await;
        self.sheet
            .check("topics", &["token"], reach, async {
                organisation::topics(&genesys, &deadline()).await
            })
            .await;
        Ok(())
    }

    /// Bucket, tables and queues.
    async fn aws(&mut self) {
        let session = self.session;
        let config = &session.config;
        let storage = session.storage();
        self.sheet
            .check(
                "bucket",
                &["aws_credentials"],
                "check S3_BUCKET_NAME and AWS_REGION; grant s3:ListBucket",
                async {
                    storage.reach().await?;
                    Ok(Said::Ok(format!("{} can be reached", config.storage.bucket)))
                },
            )
            .await;
        self.sheet.check_whole(
            "conditional_writes",
            &["bucket"],
            "grant s3:PutObject (and kms:GenerateDataKey); use a store that enforces If-None-Match, or two runs may \
             overwrite each other's archive",
            async {
                let tried = storage.try_conditional_writes().await?;
                match (tried.enforced, tried.left) {
                    (false, left) => {
                        let left = left.map(|(object, why)| format!("; the test object {object} stays: {why}"));
                        let replaced = "a second write replaced an object in spite of If-None-Match: *";
                        Err(format!("{replaced}{}", left.unwrap_or_default()).into())
                    }
                    (true, None) => Ok(Said::Ok("nothing is ever replaced".to_owned())),
                    (true, Some((object, why))) => Ok(Said::warning(
                        format!("nothing is ever replaced; the test object {object} stays: {why}"),
                        format!("delete {object}; if the bucket locks it, once its retention is over"),
                    )),
                }
            },
        )
        .await;
        if let Some(lock) = &config.storage.object_lock {
            self.sheet.check(
                "object_lock",
                &["bucket"],
                "grant s3:GetBucketObjectLockConfiguration; switch Object Lock on for the bucket (it needs versioning), or \
                 unset S3_OBJECT_LOCK_MODE and S3_OBJECT_LOCK_DAYS",
                async {
                    let (bucket, mode, days) = (&config.storage.bucket, &lock.mode, lock.days);
                    match storage.has_object_lock().await? {
                        Some(true) => Ok(Said::Ok(format!("{bucket} has it; {mode} for {days} days"))),
                        Some(false) => {
                            Err(format!("{bucket} has no Object Lock: it refuses every recording").into())
                        }
                        None => Ok(Said::Unknown("the store does not tell of Object Lock".to_owned())),
                    }
                },
            )
            .await;
        }
        let dynamodb = aws_sdk_dynamodb::Client::new(&session.sdk);
        let tables = &config.tables;
        for (name, table, sort_key) in [
            ("ledger_table", &tables.ledger, "recordingId"),
            ("audit_table", &tables.audit, "eventId"),
        ] {
            let mend = "check the table's name and region; grant dynamodb:DescribeTable; make it as template.yaml does";
            let keys = ["interactionId", sort_key];
            self.sheet
                .check(
                    name,
                    &["aws_credentials"],
                    mend,
                    aws::table(&dynamodb, table, keys),
                )
                .await;
        }
        let sqs = aws_sdk_sqs::Client::new(&session.sdk);
        for (name, url, lost) in [
            (
                "work_queue",
                &config.queues.work,
                "WORK_QUEUE_URL is not set: what is not ready yet cannot come again by itself",
            ),
            (
                "exception_queue",
                &config.queues.exceptions,
                "EXCEPTION_QUEUE_URL is not set: what people have to mend stands in the log only",
            ),
            (
                "dead_letter_queue",
                &session.dead_letter_queue,
                "WORK_DEAD_LETTER_QUEUE_URL is not set: archivectl redrive cannot find it by its name",
            ),
        ] {
            let mend = "check the queue's URL; grant sqs:GetQueueAttributes";
            self.sheet
                .check(name, &["aws_credentials"], mend, async {
                    match url {
                        Some(url) => aws::queue(&sqs, url).await,
                        None => Ok(Said::warning(lost, "set it, or name the stack (--stack)")),
                    }
                })
                .await;
        }
    }

    async fn webhook(&mut self, send: bool) -> Result<(), Failure> {
        let session = self.session;
        let secrets = self.secrets.clone();
        let webhook = Webhook::new(
            &session.config,
            secrets.clone(),
            session.clock.clone(),
            Arc::default(),
        )?;
        let Some(webhook) = webhook else {
            let none = async { Ok(Said::ok("none is configured (WEBHOOK_URL)")) };
            self.sheet.check("webhook", &[], "", none).await;
            return Ok(());
        };
        if !send {
            let unsent = async { Ok(Said::Ok("configured; --webhook sends a test event".to_owned())) };
            self.sheet.check("webhook", &[], "", unsent).await;
            return Ok(());
        }
        self.sheet.check(
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
        .await;
        Ok(())
    }
}

async fn credentials(session: &Session) -> Result<Said, Failure> {
    let region = session.sdk.region().ok_or("no region is set")?;
    let provider = session.sdk.credentials_provider().ok_or("there are none")?;
    provider
        .provide_credentials()
        .await
        .map_err(|error| format!("there are none: {}", recording_archiver::error::chain(&error)))?;
    Ok(Said::Ok(format!("found, region {region}")))
}
