//! The world of one run: conversations with recordings, and the messages that ask for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use recording_archiver::clock::Clock;
use recording_archiver::sim::World;
use recording_archiver::sim::genesys::{Conversation, Media, Recording, Topic, TranscodingBody, event};
use serde_json::json;

use crate::plan::Plan;
use crate::queue::Queue;
use crate::weather::Weather;

/// The result of a step of the run.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Time that the calm may last before a message still in the queue counts as lost.
const PATIENCE: Duration = Duration::from_secs(180);

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
}

impl Stage {
    pub(crate) async fn set(plan: &Plan, dice: &mut fastrand::Rng) -> Result<Self> {
        let world = World::temporary().await?;
        world.genesys.set_rate_limit(u32::MAX);
        let calm_from = Instant::now() + Duration::from_secs(plan.seconds);
        let at_last = calm_from + Duration::from_millis(100) * u32::try_from(plan.recordings)?;
        let weather = Weather::over(plan.recordings, calm_from, at_last);
        let mut truth = BTreeMap::new();
        let mut bodies = Vec::new();
        while truth.len() < plan.recordings {
            let id = uuid(dice);
            let mut conversation = Conversation::new(id.clone()).empty_for(dice.usize(..2));
            for number in 0..dice.usize(1..4).min(plan.recordings - truth.len()) {
                let recording = uuid(dice);
                let mut files = Vec::new();
                for _ in 0..dice.usize(1..3) {
                    files.push(file(&weather, dice));
                }
                let channels = files.iter().map(|served| served[0].clone());
                let mut source = Recording::audio(recording.clone(), channels)
                    .transcoding(dice.usize(..2), TranscodingBody::Empty);
                // Some turn up only when somebody looks again.
                if number > 0 && dice.u32(..2) == 0 {
                    source = source.appears_after(1);
                }
                conversation = conversation.recording(source);
                if dice.u32(..3) == 0 {
                    bodies.push(json!({"conversationId": id, "recordingId": recording}).to_string());
                }
                truth.insert((id.clone(), recording), files);
            }
            for _ in 0..dice.usize(1..4) {
                bodies.push(event(Topic::CustomerEnd, &id, Timestamp::now()).to_string());
            }
            world.genesys.add(conversation);
        }
        dice.shuffle(&mut bodies);
        weather.disturb(&world.wire, dice.fork());
        Ok(Self {
            world,
            clock: Clock::default(),
            weather,
            queue: Queue::new(bodies, at_last + PATIENCE),
            truth,
        })
    }
}

/// Returns one file with its mishaps, and each version of it that the source will serve.
fn file(weather: &Weather, dice: &mut fastrand::Rng) -> Vec<Media> {
    let length = match dice.u32(..12) {
        0 => PART + dice.u64(..PART),
        1 => 2 * PART,
        _ => dice.u64(100..200_000),
    };
    let seed = dice.u64(..);
    let media = Media::generated_wav(length, seed);
    // The first is the file itself, which may change; the second stays what it was.
    let mut served = vec![media.clone(), Media::generated_wav(length, seed)];
    weather.spoil(&media, length, &mut served, dice);
    served
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
