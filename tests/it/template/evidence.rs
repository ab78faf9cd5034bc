//! Who may do what with the evidence: each case is decided by the template's own policies.

use std::sync::LazyLock;

use super::iam::{ADMINISTRATOR, Account, Request, Verdict};
use crate::cloudformation::Template;

const BREAK_GLASS: &str = "arn:aws:iam::111122223333:role/BreakGlass";
const PEOPLE: &str = "arn:aws:iam::111122223333:role/Recordings";

/// A stack with operators and without a break-glass role, and one with both.
pub(super) const PLAIN: &[(&str, &str)] = &[("OperatorPrincipalArn", PEOPLE)];
pub(super) const GUARDED: &[(&str, &str)] = &[
    ("OperatorPrincipalArn", PEOPLE),
    ("BreakGlassRoleArn", BREAK_GLASS),
];

/// What a request has besides who, what and on what.
pub(super) const NOTHING: &[(&str, &str)] = &[];
pub(super) const IN_TRANSACTION: &[(&str, &str)] = &[("dynamodb:EnclosingOperation", "TransactWriteItems")];
const NEW_OBJECT: &[(&str, &str)] = &[("s3:ObjectCreationOperation", "true"), ("s3:if-none-match", "*")];
const OVERWRITE: &[(&str, &str)] = &[("s3:ObjectCreationOperation", "true")];
const PART: &[(&str, &str)] = &[("s3:ObjectCreationOperation", "false")];
const VIA_S3: &[(&str, &str)] = &[("kms:ViaService", "s3.us-east-1.amazonaws.com")];

/// The verdicts in the plain and in the guarded stack. A text is the `Sid` of the statement that denies.
pub(super) type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

pub(super) static TEMPLATE: LazyLock<Template> = LazyLock::new(Template::read);

/// Decides each case on this resource, and a path below it, in both stacks.
pub(super) fn hold(resource: &str, below: &str, cases: &[Case]) {
    for (parameters, guarded) in [(PLAIN, false), (GUARDED, true)] {
        let account = Account::new(&TEMPLATE, parameters);
        let on = format!("{}{below}", account.arn(resource));
        for (by, action, context, plain, with_role) in cases {
            let principal = match *by {
                "administrator" => ADMINISTRATOR.to_owned(),
                "break-glass" => BREAK_GLASS.to_owned(),
                role => account.arn(role),
            };
            let request = Request::new(&principal, action, &on);
            let request = context
                .iter()
                .fold(request, |request, (key, value)| request.with(key, value));
            let expected = match if guarded { *with_role } else { *plain } {
                "allowed" => Verdict::Allowed,
                "not allowed" => Verdict::NotAllowed,
                sid => Verdict::Denied(sid.to_owned()),
            };
            assert_eq!(
                account.decide(&request),
                expected,
                "{by} {action} {context:?} on {on}, guarded: {guarded}"
            );
        }
    }
}

#[test]
fn the_audit_takes_puts_of_its_writers_in_transactions_and_no_change_in_place() {
    const CHANGES: [&str; 7] = [
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLUpdate",
        "dynamodb:PartiQLDelete",
        "dynamodb:UpdateTimeToLive",
    ];
    for by in [
        "administrator",
        "break-glass",
        "ArchiverRole",
        "OperatorRole",
        "SealerRole",
        "StatementRole",
    ] {
        for action in CHANGES {
            for context in [NOTHING, IN_TRANSACTION] {
                let denied = "DenyChangesToEvidence";
                hold("AuditTable", "", &[(by, action, context, denied, denied)]);
            }
        }
    }
    let (put, plain, others) = (
        "dynamodb:PutItem",
        "DenyPutsOutsideTransactions",
        "DenyPutsOfOthers",
    );
    hold(
        "AuditTable",
        "",
        &[
            ("ArchiverRole", put, IN_TRANSACTION, "allowed", "allowed"),
            ("ArchiverRole", put, NOTHING, plain, plain),
            ("OperatorRole", put, IN_TRANSACTION, "allowed", "allowed"),
            ("OperatorRole", put, NOTHING, plain, plain),
            ("administrator", put, IN_TRANSACTION, others, others),
            ("administrator", put, NOTHING, plain, plain),
            ("SealerRole", put, IN_TRANSACTION, others, others),
            ("StatementRole", put, IN_TRANSACTION, "allowed", "allowed"),
            ("StatementRole", put, NOTHING, plain, plain),
            ("break-glass", put, IN_TRANSACTION, others, "allowed"),
            ("break-glass", put, NOTHING, plain, plain),
            (
                "ArchiverRole",
                "dynamodb:Query",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
            ("OperatorRole", "dynamodb:Query", NOTHING, "allowed", "allowed"),
            ("SealerRole", "dynamodb:Scan", NOTHING, "allowed", "allowed"),
            (
                "SealerRole",
                "dynamodb:Query",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
            // Whoever deploys is never locked out of what an update does to a table.
            (
                "administrator",
                "dynamodb:UpdateTable",
                NOTHING,
                "allowed",
                "allowed",
            ),
            (
                "administrator",
                "dynamodb:PutResourcePolicy",
                NOTHING,
                "allowed",
                "allowed",
            ),
            (
                "administrator",
                "dynamodb:UpdateContinuousBackups",
                NOTHING,
                "allowed",
                "allowed",
            ),
        ],
    );
    hold(
        "AuditTable",
        "/index/byDay",
        &[("OperatorRole", "dynamodb:Query", NOTHING, "allowed", "allowed")],
    );
    hold(
        "AuditTable",
        "/stream/2026-01-15T00:00:00.000",
        &[
            ("SealerRole", "dynamodb:GetRecords", NOTHING, "allowed", "allowed"),
            (
                "ArchiverRole",
                "dynamodb:GetRecords",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
        ],
    );
}

/// IAM does not know whether an item is there: a put is allowed over an event as much as beside it. Documents that say
/// "append-only" of the policies alone would be wrong.
#[test]
fn a_writer_may_replace_an_event_and_set_tags_and_longer_locks() {
    const OVER_AN_EVENT: &[(&str, &str)] = IN_TRANSACTION;
    let put = "dynamodb:PutItem";
    hold(
        "AuditTable",
        "",
        &[
            ("ArchiverRole", put, OVER_AN_EVENT, "allowed", "allowed"),
            ("OperatorRole", put, OVER_AN_EVENT, "allowed", "allowed"),
            ("break-glass", put, OVER_AN_EVENT, "DenyPutsOfOthers", "allowed"),
        ],
    );
    let (tags, lock) = ("s3:PutObjectTagging", "s3:PutObjectRetention");
    hold(
        "ArchiveBucket",
        "/recordings/c/r.wav",
        &[
            ("OperatorRole", tags, NOTHING, "allowed", "allowed"),
            ("OperatorRole", lock, NOTHING, "allowed", "allowed"),
            ("ArchiverRole", tags, NOTHING, "allowed", "allowed"),
            ("ArchiverRole", lock, NOTHING, "allowed", "allowed"),
        ],
    );
}

#[test]
fn no_role_of_the_stack_hands_the_sealer_records_of_its_own() {
    let invoke = "lambda:InvokeFunction";
    hold(
        "SealerFunction",
        "",
        &[
            ("ArchiverRole", invoke, NOTHING, "not allowed", "not allowed"),
            ("OperatorRole", invoke, NOTHING, "not allowed", "not allowed"),
            ("SealerRole", invoke, NOTHING, "not allowed", "not allowed"),
            // Whoever deploys, for an import.
            ("administrator", invoke, NOTHING, "allowed", "allowed"),
        ],
    );
}

#[test]
fn the_ledger_is_put_anew_and_never_changed_in_place() {
    let put = "dynamodb:PutItem";
    let denied = "DenyChangesToLedger";
    hold(
        "LedgerTable",
        "",
        &[
            ("ArchiverRole", put, IN_TRANSACTION, "allowed", "allowed"),
            ("OperatorRole", put, IN_TRANSACTION, "allowed", "allowed"),
            ("OperatorRole", put, NOTHING, "not allowed", "not allowed"),
            (
                "SealerRole",
                "dynamodb:Query",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
            // Nothing stops an administrator's put: the audit is what convicts it.
            ("administrator", put, NOTHING, "allowed", "allowed"),
            ("administrator", "dynamodb:UpdateItem", NOTHING, denied, denied),
            ("administrator", "dynamodb:DeleteItem", NOTHING, denied, denied),
            (
                "administrator",
                "dynamodb:BatchWriteItem",
                NOTHING,
                denied,
                denied,
            ),
            ("administrator", "dynamodb:PartiQLDelete", NOTHING, denied, denied),
            (
                "administrator",
                "dynamodb:UpdateTimeToLive",
                NOTHING,
                denied,
                denied,
            ),
            (
                "administrator",
                "dynamodb:UpdateTable",
                NOTHING,
                "allowed",
                "allowed",
            ),
        ],
    );
}

#[test]
fn an_archived_object_is_neither_replaced_nor_removed() {
    let (put, version, bypass) = (
        "s3:PutObject",
        "s3:DeleteObjectVersion",
        "s3:BypassGovernanceRetention",
    );
    let (overwrites, deletes, hides) = ("DenyOverwrites", "DenyDeletesOfVersions", "DenyHidingOfObjects");
    hold(
        "ArchiveBucket",
        "/recordings/c/r.wav",
        &[
            ("ArchiverRole", put, NEW_OBJECT, "allowed", "allowed"),
            ("ArchiverRole", put, PART, "allowed", "allowed"),
            ("ArchiverRole", put, OVERWRITE, overwrites, overwrites),
            ("OperatorRole", put, NEW_OBJECT, "allowed", "allowed"),
            ("administrator", put, OVERWRITE, overwrites, overwrites),
            ("break-glass", put, OVERWRITE, overwrites, overwrites),
            ("administrator", version, NOTHING, deletes, deletes),
            ("administrator", bypass, NOTHING, deletes, deletes),
            ("OperatorRole", version, NOTHING, deletes, deletes),
            ("break-glass", version, NOTHING, deletes, "allowed"),
            ("break-glass", bypass, NOTHING, deletes, "allowed"),
            // A delete marker hides an object, and the lifecycle removes the hidden version once no lock holds it.
            ("administrator", "s3:DeleteObject", NOTHING, "allowed", hides),
            ("OperatorRole", "s3:DeleteObject", NOTHING, "not allowed", hides),
            ("ArchiverRole", "s3:DeleteObject", NOTHING, "not allowed", hides),
            ("break-glass", "s3:DeleteObject", NOTHING, "allowed", "allowed"),
            (
                "OperatorRole",
                "s3:GetObjectVersion",
                NOTHING,
                "allowed",
                "allowed",
            ),
            (
                "SealerRole",
                "s3:GetObject",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
        ],
    );
    hold(
        "ArchiveBucket",
        "/recordings/c/r.wav",
        &[(
            "ArchiverRole",
            "s3:GetObject",
            &[("aws:SecureTransport", "false")],
            "DenyUnencryptedTransport",
            "DenyUnencryptedTransport",
        )],
    );
    // The test object of `archivectl doctor` is no evidence.
    let test = "/archivectl-doctor/11111111-2222-4333-8444-555555555555";
    hold(
        "ArchiveBucket",
        test,
        &[
            ("administrator", version, NOTHING, "allowed", "allowed"),
            ("administrator", "s3:DeleteObject", NOTHING, "allowed", "allowed"),
        ],
    );
}

#[test]
fn rules_of_the_buckets_change_by_the_break_glass_role_only_where_there_is_one() {
    for (bucket, denied) in [
        ("ArchiveBucket", "DenyChangesOfBucket"),
        ("SealBucket", "DenyChangesOfLogBucket"),
    ] {
        for action in [
            "s3:PutBucketVersioning",
            "s3:PutLifecycleConfiguration",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutBucketPolicy",
            "s3:DeleteBucketPolicy",
        ] {
            hold(
                bucket,
                "",
                &[
                    ("administrator", action, NOTHING, "allowed", denied),
                    ("break-glass", action, NOTHING, "allowed", "allowed"),
                ],
            );
        }
        // What an update may have to do besides.
        for action in ["s3:PutBucketNotification", "s3:PutEncryptionConfiguration"] {
            let always = ("administrator", action, NOTHING, "allowed", "allowed");
            hold(bucket, "", &[always]);
        }
    }
}

#[test]
fn the_log_is_written_by_the_sealer_and_only_ever_grows() {
    let put = "s3:PutObject";
    let (overwrites, others, deletes) = (
        "DenyOverwritesOfLog",
        "DenyPutsOfAllButSealer",
        "DenyDeletesOfLog",
    );
    hold(
        "SealBucket",
        "/checkpoints/1",
        &[
            ("SealerRole", put, NEW_OBJECT, "allowed", "allowed"),
            ("SealerRole", put, OVERWRITE, overwrites, overwrites),
            ("SealerRole", "s3:DeleteObject", NOTHING, deletes, deletes),
            ("ArchiverRole", put, NEW_OBJECT, others, others),
            ("OperatorRole", put, NEW_OBJECT, others, others),
            ("administrator", put, NEW_OBJECT, others, others),
            ("break-glass", put, NEW_OBJECT, others, others),
            ("administrator", "s3:DeleteObject", NOTHING, deletes, deletes),
            (
                "administrator",
                "s3:DeleteObjectVersion",
                NOTHING,
                deletes,
                deletes,
            ),
            (
                "break-glass",
                "s3:BypassGovernanceRetention",
                NOTHING,
                deletes,
                deletes,
            ),
            ("OperatorRole", "s3:GetObject", NOTHING, "allowed", "allowed"),
            (
                "ArchiverRole",
                "s3:GetObject",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
        ],
    );
    let (signs, loses) = ("DenySigningByAllButSealer", "DenyLossOfLogKey");
    hold(
        "SealKey",
        "",
        &[
            ("SealerRole", "kms:Sign", NOTHING, "allowed", "allowed"),
            ("SealerRole", "kms:GetPublicKey", NOTHING, "allowed", "allowed"),
            ("administrator", "kms:Sign", NOTHING, signs, signs),
            ("break-glass", "kms:Sign", NOTHING, signs, signs),
            ("OperatorRole", "kms:Sign", NOTHING, signs, signs),
            ("OperatorRole", "kms:GetPublicKey", NOTHING, "allowed", "allowed"),
            ("administrator", "kms:ScheduleKeyDeletion", NOTHING, loses, loses),
            ("administrator", "kms:DisableKey", NOTHING, loses, loses),
            ("break-glass", "kms:DisableKey", NOTHING, loses, "allowed"),
            ("administrator", "kms:PutKeyPolicy", NOTHING, "allowed", "allowed"),
        ],
    );
}

#[test]
fn the_key_of_the_archive_cannot_be_lost_by_an_administrator() {
    let loses = "DenyLossOfArchiveKey";
    hold(
        "ArchiveKey",
        "",
        &[
            (
                "ArchiverRole",
                "kms:GenerateDataKey",
                VIA_S3,
                "allowed",
                "allowed",
            ),
            ("OperatorRole", "kms:Decrypt", VIA_S3, "allowed", "allowed"),
            (
                "OperatorRole",
                "kms:Decrypt",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
            ("SealerRole", "kms:Decrypt", VIA_S3, "not allowed", "not allowed"),
            ("administrator", "kms:ScheduleKeyDeletion", NOTHING, loses, loses),
            ("administrator", "kms:DisableKey", NOTHING, loses, loses),
            (
                "break-glass",
                "kms:ScheduleKeyDeletion",
                NOTHING,
                loses,
                "allowed",
            ),
            ("administrator", "kms:PutKeyPolicy", NOTHING, "allowed", "allowed"),
        ],
    );
}

#[test]
fn operators_say_who_they_are_and_send_jobs() {
    let account = Account::new(&TEMPLATE, PLAIN);
    let assume = |by: &str| Request::new(by, "sts:AssumeRole", "");
    let named = assume(PEOPLE).with("sts:SourceIdentity", "somebody");
    assert_eq!(account.decide_trust("OperatorRole", &named), Verdict::Allowed);
    let set = Request::new(PEOPLE, "sts:SetSourceIdentity", "").with("sts:SourceIdentity", "somebody");
    assert_eq!(account.decide_trust("OperatorRole", &set), Verdict::Allowed);
    let unnamed = Verdict::Denied("NobodyIsAnonymous".to_owned());
    assert_eq!(account.decide_trust("OperatorRole", &assume(PEOPLE)), unnamed);
    let stranger = assume(ADMINISTRATOR).with("sts:SourceIdentity", "somebody");
    assert_eq!(
        account.decide_trust("OperatorRole", &stranger),
        Verdict::NotAllowed
    );
    for (queue, action, expected) in [
        ("WorkQueue", "sqs:SendMessage", Verdict::Allowed),
        ("ExceptionQueue", "sqs:SendMessage", Verdict::Allowed),
        ("WorkQueue", "sqs:DeleteMessage", Verdict::NotAllowed),
        ("WorkDeadLetterQueue", "sqs:SendMessage", Verdict::NotAllowed),
        ("WorkDeadLetterQueue", "sqs:GetQueueAttributes", Verdict::Allowed),
    ] {
        let request = Request::new(&account.arn("OperatorRole"), action, &account.arn(queue));
        assert_eq!(account.decide(&request), expected, "{queue} {action}");
    }
    let without = TEMPLATE.stack(&[]);
    assert!(!without.makes("OperatorRole") && !without.makes("OperatorAuditsPolicy"));
}
