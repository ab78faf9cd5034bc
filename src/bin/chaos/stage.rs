//! The world of one run: conversations with recordings, and the messages that ask for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use recording_archiver::clock::Clock;
use recording_archiver::sim::genesys::{
    Conversation, FileState, InBatch, Media, Recording, Topic, TranscodingBody, event,
};
use recording_archiver::sim::{AUDIT_TABLE, World};
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::queue::Queue;
use crate::weather::Weather;

/// The result of a step of the run.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Time that the calm may last before a message still in the queue counts as lost.
const PATIENCE: Duration = Duration::from_secs(180);

/// The code of the case of a conversation that Genesys does not know.
const UNKNOWN: &str = "unknown_conversation";

/// Most entries of a bulk job.
const MOST_ENTRIES: usize = 100;

/// A part of an upload, and so the length from which on a file is several.
const PART: u64 = 5 * 1024 * 1024;

/// Everything that the workers share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) weather: Weather,
    pub(crate) queue: Queue,
    /// By conversation and recording: for each file, everything that the source ever serves of it.
    pub(crate) truth: BTreeMap<(String, String), Vec<Vec<Media>>>,
    /// Conversations of bulk jobs that nobody can archive, each with the code of its case.
    pub(crate) cases: BTreeMap<String, &'static str>,
}

impl Stage {
    pub(crate) async fn set(plan: &Plan, dice: &mut fastrand::Rng) -> Result<Self> {
        let world = World::temporary().await?;
        world.genesys.set_rate_limit(u32::MAX);
        world.aws.end_stream(AUDIT_TABLE).await?;
        let weather = Weather::over(plan.recordings);
        let mut cast = Cast {
            ordinary: 200_000_u64.min(40_000_000 / plan.recordings.max(1) as u64),
            long_one_in: 12.max(u32::try_from(plan.recordings)? / 50),
            ..Cast::default()
        };
        while cast.truth.len() < plan.recordings {
            let left = plan.recordings - cast.truth.len();
            // Every second conversation is history, which bulk jobs ask for.
            let conversation = cast.conversation(&world, &weather, left, dice.bool(), dice);
            world.genesys.add(conversation);
            if dice.u32(..20) == 0 {
                cast.hopeless(&world, dice);
            }
        }
        let Cast {
            truth,
            cases,
            mut bodies,
            entries,
            ..
        } = cast;
        world.genesys.set_batch_polls(1);
        let mut entries = entries.as_slice();
        let mut stuck = 0;
        while !entries.is_empty() {
            let job;
            (job, entries) = entries.split_at(dice.usize(1..=MOST_ENTRIES).min(entries.len()));
            let job = json!({"bulk": job, "format": "original"}).to_string();
            bodies.extend(std::iter::repeat_n(job, dice.usize(1..3)));
            stuck += usize::from(dice.u32(..10) == 0);
        }
        world.genesys.stick_batches(stuck);
        dice.shuffle(&mut bodies);
        let calm_from = Instant::now() + Duration::from_secs(plan.seconds);
        let at_last = calm_from + Duration::from_millis(100) * u32::try_from(plan.recordings)?;
        let weather = weather.until(calm_from, at_last);
        weather.disturb(&world.wire, dice.fork());
        let clock = Clock::default();
        let unknown = cases.iter().filter(|(_, code)| **code == UNKNOWN);
        let unknown = unknown.map(|(id, _)| id.clone()).collect();
        Ok(Self {
            world,
            clock: clock.clone(),
            weather,
            queue: Queue::new(bodies, at_last + PATIENCE, clock, unknown),
            truth,
            cases,
        })
    }
}

/// The conversations of a run, in the making.
#[derive(Default)]
struct Cast {
    truth: BTreeMap<(String, String), Vec<Vec<Media>>>,
    cases: BTreeMap<String, &'static str>,
    /// Most bytes of an ordinary file: fewer where there are many files.
    ordinary: u64,
    /// One file in so many takes several parts.
    long_one_in: u32,
    /// The messages that ask for them one by one.
    bodies: Vec<String>,
    /// The entries of bulk jobs.
    entries: Vec<Value>,
}

impl Cast {
    /// Adds a conversation of up to `left` recordings, and what asks for it.
    fn conversation(
        &mut self,
        world: &World,
        weather: &Weather,
        left: usize,
        history: bool,
        dice: &mut fastrand::Rng,
    ) -> Conversation {
        let id = uuid(dice);
        let mut conversation = Conversation::new(id.clone());
        if !history {
            conversation = conversation.empty_for(dice.usize(..2));
        }
        let count = dice.usize(1..4).min(left);
        for number in 0..count {
            let recording = uuid(dice);
            let files: Vec<_> = (0..dice.usize(1..3))
                .map(|_| self.file(weather, history, dice))
                .collect();
            let channels = files.iter().map(|served| served[0].clone());
            let mut source = Recording::audio(recording.clone(), channels)
                .transcoding(dice.usize(..2), TranscodingBody::Empty);
            if history {
                treat(world, weather, &recording, files.len(), dice);
            } else if number > 0 && dice.u32(..2) == 0 {
                // Some turn up only when somebody looks again.
                source = source.appears_after(1);
            }
            conversation = conversation.recording(source);
            if !history && dice.u32(..3) == 0 {
                self.bodies
                    .push(json!({"conversationId": id, "recordingId": recording}).to_string());
            }
            self.truth.insert((id.clone(), recording), files);
        }
        if history {
            self.entries.push(entry(&conversation, count));
        }
        // Some of the history is asked for by an event as well, at the same time.
        let events = if history && dice.u32(..4) > 0 {
            0
        } else {
            dice.usize(1..4)
        };
        // An event that tells of a later end than the one that settled it would have history looked at again.
        let end = conversation
            .end
            .filter(|_| history)
            .unwrap_or_else(Timestamp::now);
        for _ in 0..events {
            self.bodies.push(event(Topic::CustomerEnd, &id, end).to_string());
        }
        conversation
    }

    /// Adds an entry of a bulk job that nobody can archive: of a conversation that Genesys does not know, or of one
    /// whose recording is in its cold storage.
    fn hopeless(&mut self, world: &World, dice: &mut fastrand::Rng) {
        let mut conversation = Conversation::new(uuid(dice));
        let mut code = UNKNOWN;
        if dice.bool() {
            let media = Media::generated_wav(1_000, dice.u64(..));
            let mut recording = Recording::audio(uuid(dice), [media]);
            recording.state = FileState::Archived;
            conversation = conversation.recording(recording);
            world.genesys.add(conversation.clone());
            code = "archived_at_source";
        }
        self.entries.push(entry(&conversation, 1));
        self.cases.insert(conversation.id, code);
    }

    /// Returns one file with its mishaps, and each version of it that the source will serve.
    fn file(&self, weather: &Weather, history: bool, dice: &mut fastrand::Rng) -> Vec<Media> {
        // Of history there is much, as it was recorded: small.
        let one_in = if history {
            self.long_one_in.max(100)
        } else {
            self.long_one_in
        };
        let length = match dice.u32(..one_in) {
            0 => PART + dice.u64(..PART),
            1 => 2 * PART,
            _ => dice.u64(100..self.ordinary.max(1_000)),
        };
        let seed = dice.u64(..);
        let media = Media::generated_wav(length, seed);
        // The first is the file itself, which may change; the second stays what it was.
        let mut served = vec![media.clone(), Media::generated_wav(length, seed)];
        weather.spoil(&media, length, &mut served, dice);
        served
    }
}

/// Returns the entry of a bulk job, with the kinds of so many recordings.
fn entry(conversation: &Conversation, recordings: usize) -> Value {
    json!({
        "conversationId": conversation.id,
        "conversationStart": conversation.start.to_string(),
        "conversationEnd": conversation.end.map(|end| end.to_string()),
        "kinds": vec!["audio"; recordings],
    })
}

/// Says what batch downloads give of a recording: one result for each of its channels, an error, or nothing at all.
fn treat(world: &World, weather: &Weather, recording: &str, channels: usize, dice: &mut fastrand::Rng) {
    let (fault, treatment) = match dice.u32(..20) {
        0 => (Some("batch leaves out"), InBatch::LeftOut),
        1 => (Some("batch error"), InBatch::Fails("Internal error".to_owned())),
        2 | 3 if channels == 1 => (
            Some("batch error once"),
            InBatch::FailsOnce("Internal error".to_owned()),
        ),
        _ => (None, InBatch::PerChannel),
    };
    fault.into_iter().for_each(|kind| weather.count(kind));
    world.genesys.treat_in_batches(recording, treatment);
}

fn uuid(dice: &mut fastrand::Rng) -> String {
    let hex = format!("{:032x}", dice.u128(..));
    format!(
        "{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}
