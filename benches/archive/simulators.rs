//! The other process: all simulators, and a line-by-line protocol on stdin and stdout to steer them.
//!
//! This program starts itself a second time with the argument `simulators`, so that what the function's process is
//! charged with is its own work alone. Objects go to a file system in memory where there is one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use recording_archiver::sim::genesys::{Conversation, InBatch, Media, Recording};
use recording_archiver::sim::wire::Fault;
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::Result;
use super::history::{DAYS, FIRST_DAY};
use super::staff;
use super::tls::Front;

/// The name of the process's role, its first argument.
pub(crate) const ROLE: &str = "simulators";

/// All generated recordings have the same bytes, as far as they go.
const SEED: u64 = 2026;

/// A request of the measuring process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Ask {
    /// Conversations `first..first + count`, each with one recording of this length.
    Add { first: u64, count: u64, bytes: u64 },
    /// Conversations `first..first + count` of the days of [`super::history`], in which a recording was started.
    History { first: u64, count: u64 },
    /// The latency of each answer of each service, and of each part of an upload beyond that. In milliseconds.
    Slow { all: u64, part: u64 },
    /// Media is downloaded by TLS, or not.
    Secure { secure: bool },
    /// Number of requests for each recording that are answered "being transcoded".
    Transcoding { answers: usize },
    /// The next batch download answers one in so many of these recordings with an error.
    FailOnce { first: u64, count: u64, one_in: u64 },
    /// The details of these conversations name an agent, a queue and a wrap-up code.
    Staff { first: u64, count: u64 },
    /// Requests that Genesys allows a token a minute.
    Limit { allowed: u32 },
    /// The messages that were sent to the work queue since the last time.
    Sent,
    /// The requests since the last time.
    Trace,
    /// Asks whether the object of this conversation has the right bytes, and deletes it.
    Check { of: u64 },
    /// Asks whether the call record of this conversation has the names of [`Ask::Staff`], and deletes it.
    CheckNames { of: u64 },
    /// A signed URL of this conversation's recording.
    Url { of: u64 },
}

/// One request, as it arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) service: String,
    pub(crate) operation: String,
    /// Seconds since the simulators started.
    pub(crate) at: f64,
}

pub(crate) fn conversation(number: u64) -> String {
    format!("c0000000-0000-4000-8000-{number:012}")
}

pub(crate) fn recording(number: u64) -> String {
    format!("e0000000-0000-4000-8000-{number:012}")
}

/// Returns the key that the default template gives.
pub(crate) fn key(number: u64) -> String {
    format!("recordings/{}/{}.wav", conversation(number), recording(number))
}

#[derive(Default)]
struct Observed {
    arrivals: Vec<Arrival>,
    part_delay: Duration,
}

struct Simulators {
    world: World,
    observed: Arc<Mutex<Observed>>,
    media: HashMap<u64, Media>,
    hashes: HashMap<u64, String>,
    /// Number of the messages that were told.
    sent: usize,
    /// Where media is downloaded: by plain HTTP, by TLS.
    media_urls: [String; 2],
}

/// Serves until stdin ends, so that nothing stays behind whatever happens to the measuring process.
pub(crate) async fn run() -> Result<()> {
    let world = World::temporary().await?;
    world.genesys.set_rate_limit(u32::MAX);
    world.aws.end_stream(AUDIT_TABLE).await?;
    let observed = Arc::new(Mutex::new(Observed::default()));
    observe(&world, observed.clone());
    let mut environment = world.environment();
    // What is measured is a run that archives; the looks that follow it are counted in the tests.
    environment.insert("SETTLE_SECONDS", "0".to_owned());
    let authority = std::env::temp_dir().join(format!("{}.pem", uuid::Uuid::new_v4()));
    let front = Front::new(&authority)?;
    let ports = world.site().ports;
    let media = [world.genesys.media_base_url(), front.before(ports.media).await?];
    let (genesys, aws) = (front.before(ports.genesys).await?, front.before(ports.aws).await?);
    let mut secure = environment.clone();
    secure.extend([
        ("AWS_ENDPOINT_URL", aws),
        ("GENESYS_API_BASE_URL", genesys.clone()),
        ("GENESYS_LOGIN_BASE_URL", genesys),
        // Where the system's certificates are for OpenSSL, and for all who do as it does.
        ("SSL_CERT_FILE", authority.display().to_string()),
    ]);
    println!("{}", json!([environment, secure]));
    let mut simulators = Simulators {
        world,
        observed,
        media: HashMap::new(),
        hashes: HashMap::new(),
        sent: 0,
        media_urls: media,
    };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match simulators.answer(serde_json::from_str(&line)?).await {
            Ok(answer) => json!({ "ok": answer }),
            Err(error) => json!({"error": error.to_string()}),
        };
        println!("{answer}");
    }
    std::fs::remove_file(authority)?;
    Ok(())
}

/// Adds a rule to the wire that notes each request, and slows down parts when asked to.
fn observe(world: &World, observed: Arc<Mutex<Observed>>) {
    let start = Instant::now();
    world.wire.disturb(move |exchange| {
        let mut observed = observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.arrivals.push(Arrival {
            service: format!("{:?}", exchange.service),
            operation: exchange.operation.clone(),
            at: start.elapsed().as_secs_f64(),
        });
        let slow = exchange.operation == "UploadPart" && !observed.part_delay.is_zero();
        slow.then_some(Fault::Delay(observed.part_delay))
    });
}

impl Simulators {
    async fn answer(&mut self, ask: Ask) -> Result<Value> {
        Ok(match ask {
            Ask::Add { first, count, bytes } => {
                // The wait for a transcoding is Genesys' time, not the function's, unless it is asked for.
                self.world.genesys.set_transcoding(0);
                for number in first..first + count {
                    let media = Media::generated_wav(bytes, SEED);
                    self.media.insert(number, media.clone());
                    let recording = Recording::audio(recording(number), [media]);
                    self.world
                        .genesys
                        .add(Conversation::new(conversation(number)).recording(recording));
                }
                Value::Null
            }
            Ask::History { first, count } => {
                self.world.genesys.set_job_looks(0);
                let midnight: Timestamp = format!("{FIRST_DAY}T00:00:00Z").parse()?;
                for number in first..first + count {
                    // Spread over all days and all their seconds.
                    let second = i64::try_from(number)? * 7_919 % (DAYS * 86_400 - 600);
                    let start = midnight + SignedDuration::from_secs(second);
                    let mut conversation =
                        Conversation::new(conversation(number)).lasting(start, SignedDuration::from_mins(5));
                    conversation.marked = Some(true);
                    self.world.genesys.add(conversation);
                }
                Value::Null
            }
            Ask::Slow { all, part } => {
                self.world.wire.set_latency(Duration::from_millis(all));
                self.observed().part_delay = Duration::from_millis(part);
                Value::Null
            }
            Ask::Secure { secure } => {
                let url = &self.media_urls[usize::from(secure)];
                self.world.genesys.set_media_base_url(url.clone());
                Value::Null
            }
            Ask::Transcoding { answers } => {
                self.world.genesys.set_transcoding(answers);
                Value::Null
            }
            Ask::FailOnce { first, count, one_in } => {
                for number in (first..first + count).filter(|number| number % one_in == 0) {
                    let fails = InBatch::FailsOnce("Internal error".to_owned());
                    self.world.genesys.treat_in_batches(recording(number), fails);
                }
                Value::Null
            }
            Ask::Staff { first, count } => {
                let genesys = &self.world.genesys;
                staff::hire(genesys);
                for number in first..first + count {
                    let participants = Some(staff::participants(number));
                    let known = genesys.conversation(&conversation(number), |known| {
                        known.participants = participants;
                    });
                    known.ok_or("no such conversation")?;
                }
                Value::Null
            }
            Ask::Limit { allowed } => {
                self.world.genesys.set_rate_limit(allowed);
                Value::Null
            }
            Ask::Sent => {
                let sent = self.world.aws.messages(&self.world.work_queue);
                let new: Vec<_> = sent[self.sent..].iter().map(|message| &message.body).collect();
                let told = json!(new);
                self.sent = sent.len();
                told
            }
            Ask::Trace => {
                self.world.wire.forget();
                json!(std::mem::take(&mut self.observed().arrivals))
            }
            Ask::Check { of } => json!(self.check(of)?),
            Ask::CheckNames { of } => json!(self.check_names(of)?),
            Ask::Url { of } => json!(self.signed_url(of).await?),
        })
    }

    fn observed(&self) -> std::sync::MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&mut self, of: u64) -> Result<bool> {
        let media = self.media.get(&of).ok_or("no such conversation")?;
        let bytes = media.len()?;
        let expected = match self.hashes.get(&bytes) {
            Some(known) => known.clone(),
            None => media.sha256()?,
        };
        self.hashes.insert(bytes, expected.clone());
        let path = self.world.aws.object_path(BUCKET, &key(of));
        let (mut file, mut sha256) = (File::open(&path)?, Sha256::new());
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => sha256.update(&buffer[..read]),
            }
        }
        std::fs::remove_file(path)?;
        Ok(hex::encode(sha256.finalize()) == expected)
    }

    fn check_names(&self, of: u64) -> Result<bool> {
        let key = format!("recordings/{}/call.json", conversation(of));
        let path = self.world.aws.object_path(BUCKET, &key);
        let call: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        std::fs::remove_file(path)?;
        let right = staff::names(of);
        Ok(["users", "queues", "wrapUpCodes"]
            .iter()
            .all(|kind| call["names"][kind] == right[kind]))
    }

    /// Asks the API as the function does: log in, then ask for the recording.
    async fn signed_url(&self, of: u64) -> Result<String> {
        let (http, base) = (reqwest::Client::new(), self.world.genesys.base_url());
        let (id, secret) = self.world.genesys.credentials();
        let login = http
            .post(format!("{base}/oauth/token"))
            .basic_auth(id, Some(secret))
            .form(&[("grant_type", "client_credentials")]);
        let token: Value = login.send().await?.json().await?;
        let path = format!(
            "{base}/api/v2/conversations/{}/recordings/{}?formatId=WAV&download=true",
            conversation(of),
            recording(of)
        );
        let asking = http
            .get(path)
            .bearer_auth(token["access_token"].as_str().unwrap_or_default());
        let recording: Value = asking.send().await?.json().await?;
        let url = recording["mediaUris"]["S"]["mediaUri"].as_str();
        Ok(url.ok_or("Genesys gave no media URL")?.to_owned())
    }
}
