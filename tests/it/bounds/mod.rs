//! Bounds of all that others send: the length of an answer, the times it names, the texts that are kept of it, whose
//! bucket it is.

mod answers;
mod keys;
mod leftovers;
mod owner;
mod times;
mod transformed;

use recording_archiver::sim::SECRET;
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use crate::support::*;

/// Returns an answer with this JSON text.
fn json_text(text: String) -> Fault {
    Fault::Respond {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: text.into_bytes(),
    }
}

impl Bench {
    /// Answers every request of this operation like this.
    fn always_answers(&self, operation: &'static str, answer: Fault) {
        self.world
            .wire
            .disturb(move |asked| (asked.operation == operation).then(|| answer.clone()));
    }

    /// Sets the secret: the OAuth client and these fields.
    async fn secret_holds(&self, fields: Value) {
        let (id, secret) = self.world.genesys.credentials();
        let mut value = json!({"clientId": id, "clientSecret": secret});
        for (name, field) in fields.as_object().unwrap() {
            value[name] = field.clone();
        }
        self.world
            .aws
            .put_secret(SECRET, &value.to_string())
            .await
            .unwrap();
    }

    fn asked_for(&self, service: Service, operation: &str) -> usize {
        self.world.wire.count(service, operation)
    }
}
