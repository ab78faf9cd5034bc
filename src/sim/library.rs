//! The conversations that the sample events speak of. Conversation NN has the id ending in NN, its k-th recording
//! the id ending in NN0k.

use std::time::Duration;

use super::genesys::{
    Conversation, FileState, Genesys, Interaction, Media, Recording, Retention, TranscodingBody,
};

const CALL_01: &[u8] = include_bytes!("media/call-01.wav");
const CALL_01_EXTERNAL: &[u8] = include_bytes!("media/call-01-0.wav");
const CALL_01_INTERNAL: &[u8] = include_bytes!("media/call-01-1.wav");
const CALL_01_MP3: &[u8] = include_bytes!("media/call-01.mp3");
const CALL_01_OPUS: &[u8] = include_bytes!("media/call-01.opus");
const CALL_01_WEBM: &[u8] = include_bytes!("media/call-01.webm");
const CALL_01_ULAW: &[u8] = include_bytes!("media/call-01.ulaw.wav");
const CALL_02: &[u8] = include_bytes!("media/call-02.wav");

/// Length of the long call: 8 kHz, 16 bit, stereo make 109 MB of an hour minus three minutes.
const LONG_CALL: Duration = Duration::from_secs(57 * 60);

/// Returns the id of conversation `number`.
pub fn conversation_id(number: u32) -> String {
    format!("c0000000-0000-4000-8000-{number:012}")
}

/// Returns the id of the `k`-th recording of conversation `number`.
pub fn recording_id(number: u32, k: u32) -> String {
    format!("e0000000-0000-4000-8000-{:012}", number * 100 + k)
}

fn call(number: u32, k: u32, merged: &'static [u8]) -> Recording {
    let channels = [Media::bytes(CALL_01_EXTERNAL), Media::bytes(CALL_01_INTERNAL)];
    Recording::audio(recording_id(number, k), channels).merged(Media::bytes(merged))
}

fn conversation(number: u32, recordings: impl IntoIterator<Item = Recording>) -> Conversation {
    recordings.into_iter().fold(
        Conversation::new(conversation_id(number)),
        Conversation::recording,
    )
}

/// Puts everything that `events/` speaks of into a simulated organisation.
pub fn fill(genesys: &Genesys) {
    for (number, media) in [
        (1, CALL_01),
        (5, CALL_01),
        (6, CALL_01_MP3),
        (7, CALL_01_OPUS),
        (8, CALL_01_WEBM),
        (9, CALL_01_ULAW),
        (10, CALL_01),
        (11, CALL_02),
        (12, CALL_02),
        (17, CALL_02),
        (24, CALL_01),
    ] {
        genesys.add(conversation(number, [call(number, 1, media)]));
    }
    genesys.add(conversation(3, [call(3, 1, CALL_01), call(3, 2, CALL_02)]));
    genesys.add(conversation(
        14,
        [call(14, 1, CALL_01).transcoding(usize::MAX, TranscodingBody::Empty)],
    ));
    genesys.add(conversation(15, [call(15, 1, CALL_01).state(FileState::Deleted)]));
    let long = Media::generated_call(LONG_CALL, 20);
    genesys.add(conversation(20, [Recording::audio(recording_id(20, 1), [long])]));
    genesys.add(conversation(21, [call(21, 1, CALL_01)]).denied());
    genesys.add(conversation(
        22,
        [Recording::screen(recording_id(22, 1), Media::bytes(CALL_01_WEBM))],
    ));
    let mut lost = conversation(25, []);
    lost.marked = Some(true);
    genesys.add(lost);
    genesys.add(conversation(
        27,
        [call(27, 1, CALL_01).state(FileState::Archived)],
    ));
    genesys.add(conversation(28, []));

    let interaction = |number: u32| {
        Interaction::new(conversation_id(number), Media::bytes(CALL_01)).recording_id(recording_id(number, 1))
    };
    genesys.add_interaction(interaction(13));
    genesys.add_interaction(interaction(16).retention(Retention::MetadataOnly));
}
