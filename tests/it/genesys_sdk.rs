//! The simulated Genesys Cloud, driven by Genesys' own SDK: what the simulator understands is what that SDK sends, and
//! what it answers is what that SDK reads.
//!
//! Needs the SDK that `scripts/dev-venv` installs; without it the test says that it is skipped.

use recording_archiver::sim::genesys::{
    Annotation, Conversation, Format, Genesys, Mark, Media, Orphan, Recording,
};
use recording_archiver::sim::wire::Wire;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::stack::installed;
use crate::support::{CONVERSATION, RECORDING, project};

const FORMATS: [(&str, Format, &str); 7] = [
    ("WAV", Format::Wav, "52494646"),
    ("WAV_ULAW", Format::WavUlaw, "52494646"),
    ("WEBM", Format::Webm, "1a45dfa3"),
    ("OGG_VORBIS", Format::OggVorbis, "4f676753"),
    ("OGG_OPUS", Format::OggOpus, "4f676753"),
    ("MP3", Format::Mp3, "49443304"),
    ("NONE", Format::Original, "52494646"),
];

#[tokio::test]
async fn the_official_sdk_gets_all_that_the_simulator_has() {
    let Some(python) = installed("sdk/bin/python") else {
        return;
    };
    let genesys = Genesys::start(&Wire::default(), 0, 0).await.unwrap();
    let [left, right, both] = [1, 2, 3].map(|seed| Media::generated_wav(20_044, seed));
    let pause = Annotation::new(Mark::Pause("SecurePause"), 100, 50);
    let recording = Recording::audio(RECORDING, [left.clone(), right.clone()])
        .merged(both.clone())
        .annotated([
            pause.clone().nested([pause]),
            Annotation::new(Mark::Hold, -500, 600),
        ]);
    genesys.add(Conversation::new(CONVERSATION).recording(recording));
    genesys.add_orphan(Orphan::of(CONVERSATION, "e0000000-0000-4000-8000-00000000000f"));
    let (client_id, client_secret) = genesys.credentials();
    let wanted = json!({
        "url": genesys.base_url(), "clientId": client_id, "clientSecret": client_secret,
        "conversation": CONVERSATION, "recording": RECORDING,
        "formats": FORMATS.map(|(name, ..)| name),
        "interval": "2026-01-15T00:00:00.000Z/2026-01-16T00:00:00.000Z",
    });
    let ran = Command::new(python)
        .arg(project().join("tests/it/genesys_sdk.py"))
        .arg(wanted.to_string())
        .output()
        .await
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let came: Value = serde_json::from_slice(&ran.stdout).unwrap();

    assert_eq!(
        came["metadata"],
        json!([[RECORDING, "audio", "AVAILABLE", "eu-central-1"]])
    );
    assert_eq!(came["callEnded"], true);
    assert_eq!(came["wrapup"].as_array().unwrap().len(), 1);
    for (name, format, start) in FORMATS {
        let file = &came["merged"][name]["S"];
        assert_eq!(file["sha256"], both.sha256_in(format).unwrap(), "{name}");
        assert_eq!(file["start"], start, "{name}");
    }
    assert_eq!(came["merged"]["MP3"]["S"]["contentType"], "audio/mpeg");
    for (key, media) in [("0", &left), ("1", &right)] {
        assert_eq!(came["split"][key]["sha256"], media.sha256().unwrap());
    }
    assert_eq!(came["joined"]["S"]["sha256"], both.sha256().unwrap());
    let annotations = json!([["Pause", "SecurePause", 100, 1], ["Hold", null, -500, 0]]);
    assert_eq!(came["annotations"], annotations);
    assert_eq!(came["query"], json!([CONVERSATION]));
    assert_eq!(
        came["job"],
        json!({"states": ["QUEUED", "PENDING", "FULFILLED"], "conversations": [CONVERSATION]})
    );
    assert_eq!(came["details"], json!([[CONVERSATION, true]]));
    assert_eq!(
        came["orphans"],
        json!([["CONVERSATION_NOT_COMPLETE", CONVERSATION]])
    );
    assert_eq!(came["limits"]["client.credentials.token.rate.per.minute"], 300);
    let end = "v2.detail.events.conversation.{id}.customer.end";
    assert!(
        came["topics"][end]
            .as_array()
            .unwrap()
            .contains(&json!("EventBridge"))
    );
    assert_eq!(came["unknown"], json!([404, "conversation.not.found"]));
}
