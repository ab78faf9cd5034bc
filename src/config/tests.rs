use super::*;

const MINIMUM: [(&str, &str); 4] = [
    ("GENESYS_SECRET_ID", "genesys/archiver"),
    ("S3_BUCKET_NAME", "archive"),
    ("AUDIT_TABLE_NAME", "audit"),
    ("LEDGER_TABLE_NAME", "ledger"),
];

fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| {
        let all = changes.iter().chain(&MINIMUM);
        all.into_iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

#[track_caller]
fn refused(name: &str, value: &str, mentions: &[&str]) {
    let message = read(&[(name, value)]).unwrap_err().to_string();
    assert!(message.contains(name), "{message}");
    for mention in mentions {
        assert!(message.contains(mention), "{message} lacks {mention}");
    }
}

#[test]
fn the_minimum_gives_the_documented_defaults() {
    let config = read(&[]).unwrap();
    assert_eq!(config.genesys.api_base.as_str(), "https://api.mypurecloud.com/");
    assert_eq!(
        config.genesys.login_base.as_str(),
        "https://login.mypurecloud.com/"
    );
    assert_eq!(config.genesys.api, RecordingApi::Conversations);
    assert_eq!(config.recording.format, Format::Wav);
    assert_eq!(config.recording.channels, Channels::Merged);
    assert_eq!(config.recording.media, [MediaKind::Audio]);
    assert_eq!(config.storage.part_size, 8 * 1024 * 1024);
    assert_eq!(config.storage.concurrency.get(), 4);
    assert_eq!(config.limits.record_concurrency.get(), 4);
    assert_eq!(config.limits.readiness, Duration::from_secs(86_400));
    assert_eq!(config.limits.max_attempts, 3);
    assert_eq!(config.log_level, "info");
    assert!(
        config.webhook_url.is_none() && config.queues.work.is_none() && config.storage.object_lock.is_none()
    );
}

#[test]
fn an_empty_environment_names_every_missing_variable_at_once() {
    let message = Config::from_lookup(|_| None).unwrap_err().to_string();
    for (name, _) in MINIMUM {
        assert!(message.contains(&format!("{name} is not set")), "{message}");
    }
}

#[test]
fn a_region_may_be_a_name_or_a_domain() {
    for (region, api) in [
        ("eu-central-1", "https://api.mypurecloud.de/"),
        ("mypurecloud.ie", "https://api.mypurecloud.ie/"),
        ("us-east-2", "https://api.use2.us-gov-pure.cloud/"),
        ("edee1.eusc-pure.cloud", "https://api.edee1.eusc-pure.cloud/"),
    ] {
        assert_eq!(
            read(&[("GENESYS_CLOUD_REGION", region)])
                .unwrap()
                .genesys
                .api_base
                .as_str(),
            api
        );
    }
    refused(
        "GENESYS_CLOUD_REGION",
        "eu-nowhere-9",
        &["eu-nowhere-9", "eu-central-1", "mypurecloud.de"],
    );
    let named = read(&[
        ("GENESYS_CLOUD_REGION", "eu-nowhere-9"),
        ("GENESYS_API_BASE_URL", "https://api.example"),
        ("GENESYS_LOGIN_BASE_URL", "https://login.example"),
    ]);
    assert_eq!(
        named.unwrap().genesys.region,
        "eu-nowhere-9",
        "a new region needs no release"
    );
}

#[test]
fn a_domain_that_is_not_genesys_is_refused_unless_both_hosts_are_named() {
    // The client's secret would go to login.mypurecloud.co.
    for stranger in [
        "mypurecloud.co",
        "mypurecloud.com.evil.example",
        "pure.cloud",
        "MyPureCloud.de",
        "usw2.pure.cloud.",
        "a..b",
    ] {
        refused(
            "GENESYS_CLOUD_REGION",
            stranger,
            &["mypurecloud.de", "GENESYS_LOGIN_BASE_URL"],
        );
        let one = [
            ("GENESYS_CLOUD_REGION", stranger),
            ("GENESYS_API_BASE_URL", "https://api.example"),
        ];
        assert!(read(&one).is_err(), "{stranger}: the login host is missing");
    }
    let both = read(&[
        ("GENESYS_CLOUD_REGION", "new1.pure.cloud"),
        ("GENESYS_API_BASE_URL", "https://api.new1.pure.cloud"),
        ("GENESYS_LOGIN_BASE_URL", "https://login.new1.pure.cloud"),
    ]);
    assert_eq!(both.unwrap().genesys.region, "new1.pure.cloud");
}

#[test]
fn a_user_or_password_in_a_url_is_refused_and_not_shown() {
    for name in [
        "GENESYS_API_BASE_URL",
        "GENESYS_LOGIN_BASE_URL",
        "WEBHOOK_URL",
        "WORK_QUEUE_URL",
        "EXCEPTION_QUEUE_URL",
    ] {
        for url in [
            "https://admin:hunter2@api.example.com/path",
            "https://hunter2@api.example.com/path",
            "http://:hunter2@127.0.0.1/path",
            "https://admin:hunter2@api exa/mple",
            "https://admin:hunter2@",
            "admin:hunter2@api",
        ] {
            let message = read(&[(name, url)]).unwrap_err().to_string();
            assert!(
                message.contains(name) && !message.contains("hunter2"),
                "{message}"
            );
        }
    }
    refused(
        "WEBHOOK_URL",
        "http://hooks.example.com/services/T0",
        &["\"http://hooks.example.com\" (rest not shown)"],
    );
}

#[test]
fn media_hosts_are_added_to_what_is_allowed_anyway() {
    let config = read(&[
        ("GENESYS_CLOUD_REGION", "eu-central-1"),
        ("GENESYS_MEDIA_HOSTS", "media.example.com"),
    ])
    .unwrap();
    let MediaHosts::Within(domains) = config.genesys.media_hosts else {
        panic!()
    };
    for domain in [
        "amazonaws.com",
        "cloudfront.net",
        "mypurecloud.de",
        "media.example.com",
    ] {
        assert!(domains.iter().any(|allowed| allowed == domain), "{domains:?}");
    }
    refused(
        "GENESYS_MEDIA_HOSTS",
        "https://media.example.com/",
        &["a comma list of host names"],
    );
}

#[test]
fn all_problems_stand_in_one_message() {
    let bad = [
        ("S3_BUCKET_NAME", ""),
        ("S3_BUCKET_OWNER", "12345"),
        ("S3_STORAGE_CLASS", "cold please"),
        ("S3_KEY_TEMPLATE", "x"),
        ("UPLOAD_CONCURRENCY", "0"),
        ("WEBHOOK_SIGNATURE", "maybe"),
        ("RECORDING_FORMAT", "aiff"),
        ("RECORDING_MEDIA", "fax"),
        ("GENESYS_SECRET_ID", ""),
        ("GENESYS_MEDIA_HOSTS", "com"),
    ];
    let message = read(&bad).unwrap_err().to_string();
    for (name, _) in bad {
        assert!(message.contains(&format!("{name} is")), "{message} lacks {name}");
    }
}

#[test]
fn a_format_the_chosen_api_cannot_give_is_refused_with_those_it_can() {
    refused(
        "RECORDING_FORMAT",
        "flac",
        &["conversations", "wav", "ogg_opus", "original"],
    );
    refused("RECORDING_FORMAT", "aiff", &["aiff", "mp3"]);
    let tutorial = |format: &str| {
        read(&[
            ("GENESYS_RECORDING_API", "interactions"),
            ("RECORDING_FORMAT", format),
        ])
    };
    assert_eq!(tutorial("FLAC").unwrap().recording.format, Format::Flac);
    assert!(
        tutorial("webm")
            .unwrap_err()
            .to_string()
            .contains("wav, mp3, flac")
    );
}

#[test]
fn bad_values_are_named_with_what_was_found_and_what_is_accepted() {
    refused(
        "GENESYS_RECORDING_API",
        "v1",
        &["\"v1\"", "conversations or interactions"],
    );
    refused("RECORDING_CHANNELS", "both", &["\"both\"", "merged or split"]);
    refused("RECORDING_MEDIA", "audio,fax", &["audio,fax", "screen"]);
    refused("S3_BUCKET_NAME", "s3://archive", &["not a URL"]);
    refused(
        "S3_KEY_TEMPLATE",
        "{interactionId}.{ext}",
        &["one key", "{recordingId}"],
    );
    refused("S3_KEY_TEMPLATE", "../{recordingId}", &[".."]);
    refused("S3_OBJECT_LOCK_MODE", "FOREVER", &["GOVERNANCE or COMPLIANCE"]);
    refused("S3_OBJECT_LOCK_DAYS", "10", &["S3_OBJECT_LOCK_MODE is not set"]);
    refused("UPLOAD_PART_SIZE_MIB", "4", &["from 5 to 512"]);
    refused("UPLOAD_CONCURRENCY", "0", &["from 1 to 64"]);
    refused("RECORD_CONCURRENCY", "many", &["\"many\""]);
    refused("BULK_CONCURRENCY", "0", &["from 1 to 64"]);
    refused("WEBHOOK_URL", "http://example.com/hook", &["https"]);
    refused("WORK_QUEUE_URL", "work", &["URL of an SQS queue"]);
    refused("READINESS_DEADLINE_MINUTES", "-1", &["whole number"]);
    refused("MAX_ATTEMPTS", "1e3", &["whole number"]);
    refused("LOG_LEVEL", "loud=very", &["tracing filter"]);
    refused("LEDGER_TABLE_NAME", "audit", &["another table"]);
    refused("GENESYS_API_BASE_URL", "http://api.example", &["https"]);
}

#[test]
fn http_is_accepted_to_this_machine_only() {
    for local in [
        "http://127.0.0.1:9/hook",
        "http://localhost/hook",
        "http://[::1]:9/",
        "http://host.docker.internal:9/",
    ] {
        assert!(read(&[("WEBHOOK_URL", local)]).is_ok(), "{local}");
    }
}

#[test]
fn secrets_pasted_into_the_wrong_place_are_not_echoed() {
    for (name, value) in [
        (
            "GENESYS_SECRET_ID",
            r#"{"clientId":"x","clientSecret":"hunter2"}"#,
        ),
        ("WEBHOOK_URL", "http://user:hunter2@example.com/hook"),
        ("GENESYS_API_BASE_URL", "https://api.example/?token=hunter2"),
    ] {
        let message = read(&[(name, value)]).unwrap_err().to_string();
        assert!(
            message.contains(name) && !message.contains("hunter2"),
            "{message}"
        );
    }
}

#[test]
fn blank_values_count_as_unset() {
    let config = read(&[
        ("WEBHOOK_URL", "  "),
        ("S3_SSE_KMS_KEY_ID", ""),
        ("MAX_ATTEMPTS", ""),
    ])
    .unwrap();
    assert!(config.webhook_url.is_none() && config.storage.kms_key_id.is_none());
}

/// Reads just these variables and gives the problems.
fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::from_lookup(lookup).unwrap_err().0
}

#[track_caller]
fn assert_named_once(problems: &[String], name: &str) {
    let about = problems.iter().filter(|problem| problem.starts_with(name));
    assert_eq!(about.count(), 1, "{name}: {problems:#?}");
}

#[test]
fn every_bad_value_is_named_once_though_all_that_is_required_is_missing() {
    let bad = [
        ("GENESYS_CLOUD_REGION", "eu-nowhere-9"),
        ("GENESYS_API_BASE_URL", "x"),
        ("GENESYS_LOGIN_BASE_URL", "x"),
        ("GENESYS_MEDIA_HOSTS", "https://x/"),
        ("GENESYS_RECORDING_API", "x"),
        ("RECORDING_FORMAT", "x"),
        ("RECORDING_CHANNELS", "x"),
        ("RECORDING_MEDIA", "x"),
        ("S3_BUCKET_OWNER", "x"),
        ("S3_KEY_TEMPLATE", "x"),
        ("S3_STORAGE_CLASS", "x"),
        ("S3_OBJECT_LOCK_MODE", "x"),
        ("S3_OBJECT_LOCK_DAYS", "x"),
        ("CALL_RECORD", "x"),
        ("CATALOG_TABLE_NAME", "x"),
        ("CATALOG_KEY_SECRET_ID", "a b"),
        ("NUMBER_COUNTRY", "x"),
        ("UPLOAD_PART_SIZE_MIB", "x"),
        ("UPLOAD_CONCURRENCY", "x"),
        ("RECORD_CONCURRENCY", "x"),
        ("BULK_CONCURRENCY", "x"),
        ("GENESYS_BULK_SECRET_ID", "a b"),
        ("WEBHOOK_URL", "x"),
        ("WEBHOOK_SIGNATURE", "x"),
        ("WORK_QUEUE_URL", "x"),
        ("EXCEPTION_QUEUE_URL", "x"),
        ("READINESS_DEADLINE_MINUTES", "x"),
        ("SETTLE_SECONDS", "x"),
        ("UNRECORDED_AFTER_MINUTES", "x"),
        ("TRANSCODE_WAIT_SECONDS", "x"),
        ("MAX_ATTEMPTS", "x"),
        ("LOG_LEVEL", "x=y"),
        ("ARCHIVER_ROLE_ID", "x"),
    ];
    let required = MINIMUM.map(|(name, _)| name);
    let anything = "S3_SSE_KMS_KEY_ID";
    let problems = problems(&bad);
    for name in VARIABLES.iter().filter(|name| **name != anything) {
        assert!(
            required.contains(name) || bad.iter().any(|(bad, _)| bad == name),
            "what is a bad {name}?"
        );
        assert_named_once(&problems, name);
    }
    assert_eq!(problems.len(), VARIABLES.len() - 1, "{problems:#?}");
}

#[test]
fn what_the_api_accepts_is_held_against_it_though_the_secret_is_missing() {
    let problems = problems(&[
        ("GENESYS_RECORDING_API", "interactions"),
        ("RECORDING_FORMAT", "flac"),
        ("RECORDING_CHANNELS", "split"),
    ]);
    assert_named_once(&problems, "RECORDING_CHANNELS");
    let formats = problems
        .iter()
        .filter(|problem| problem.starts_with("RECORDING_FORMAT"));
    assert_eq!(formats.count(), 0, "this API has flac: {problems:#?}");
}

#[test]
fn a_bad_half_of_the_object_lock_is_not_said_to_be_missing() {
    for (mode, days, bad) in [
        ("FOREVER", "30", "S3_OBJECT_LOCK_MODE is \"FOREVER\""),
        ("GOVERNANCE", "many", "S3_OBJECT_LOCK_DAYS is \"many\""),
    ] {
        let changes = [("S3_OBJECT_LOCK_MODE", mode), ("S3_OBJECT_LOCK_DAYS", days)];
        let problems = read(&changes).unwrap_err().0;
        assert!(
            problems.len() == 1 && problems[0].starts_with(bad),
            "{problems:?}"
        );
    }
}
