//! Writes events that are not about archiving, into chains of their own. The ledger is not touched.
//!
//! No record says where such a chain ends, so its end is the last event that a Query finds. An event's key is its place
//! in the chain, so of two writers who continue the same end one is refused, and continues the other's event.

use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::write::{cancellation, to_item, transact};
use super::{Ledger, from_item};
use crate::aws::failure::failed;
use crate::clock::Deadline;
use crate::domain::audit::{Actor, Apart, AuditEvent, Chain};
use crate::error::{Error, ErrorKind};
use crate::retry::Retry;

/// The answer to an attempt to write an event.
enum Placed {
    Written,
    Taken,
}

impl Ledger {
    /// Adds an event to a chain apart. Returns the event as it is stored.
    ///
    /// Fails where the end of the chain cannot be continued, or DynamoDB does not take the event until `deadline`. It
    /// may be stored all the same then.
    pub async fn append(
        &self,
        chain: &Apart,
        entry: &AuditEvent,
        actor: &Actor,
        deadline: &Deadline,
    ) -> Result<AuditEvent, Error> {
        loop {
            let end = self.end_of(chain).await?;
            let appended = end.append_apart(chain, entry.clone(), actor, self.clock.now());
            let (event, _) = appended.ok_or_else(|| not_continued(chain))?;
            match self.put_apart(chain, &event, deadline).await? {
                Placed::Written => {
                    self.lines.audit(event.clone().into_attributes());
                    return Ok(event);
                }
                // Another writer got on, so all of them together always do.
                Placed::Taken if deadline.working_time().is_zero() => {
                    let message = format!("others write {chain} all the time");
                    return Err(Error::new(ErrorKind::DeadlineNear, message));
                }
                Placed::Taken => {}
            }
        }
    }

    /// Returns the end of a chain apart.
    async fn end_of(&self, chain: &Apart) -> Result<Chain, Error> {
        let table = &self.tables.audit;
        let found = self
            .client
            .query()
            .table_name(table)
            .key_condition_expression("interactionId = :subject AND begins_with(eventId, :chain)")
            .expression_attribute_values(":subject", AttributeValue::S(chain.subject().to_string()))
            .expression_attribute_values(":chain", AttributeValue::S(chain.event_prefix()))
            .scan_index_forward(false)
            .limit(1)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed(&format!("reading {chain} from the table {table}"), error))?;
        match found.items.unwrap_or_default().pop() {
            None => Ok(Chain::default()),
            Some(item) => {
                let event = from_item::<AuditEvent>(item).ok();
                let end = event.as_ref().and_then(Chain::at);
                end.ok_or_else(|| not_continued(chain))
            }
        }
    }

    /// Writes an event unless its place is taken. The audit table takes no put outside a transaction.
    async fn put_apart(
        &self,
        chain: &Apart,
        event: &AuditEvent,
        deadline: &Deadline,
    ) -> Result<Placed, Error> {
        let put = Put::builder()
            .table_name(&self.tables.audit)
            .set_item(Some(to_item(event)?))
            .condition_expression("attribute_not_exists(eventId)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put: TransactWriteItem = transact(put)?;
        let mut retry = Retry::new(self.policy, deadline);
        loop {
            let request = self.client.transact_write_items().transact_items(put.clone());
            let error = match request.send().await {
                Ok(_) => return Ok(Placed::Written),
                Err(error) => error,
            };
            let doing = format!("writing {chain} (table {})", self.tables.audit);
            let reasons = cancellation(error.as_service_error());
            if let [reason] = reasons.as_slice()
                && reason.code() == Some("ConditionalCheckFailed")
            {
                let there = reason.item().cloned().map(from_item::<AuditEvent>);
                // This very write went through before, though its answer was lost.
                return Ok(match there {
                    Some(Ok(there)) if there == *event => Placed::Written,
                    _ => Placed::Taken,
                });
            }
            let error = match reasons.first().and_then(CancellationReason::code) {
                None => failed(&doing, error),
                // TransactionConflict, ThrottlingError and the like: nothing was written.
                Some(code) => Error::transient(format!("{doing} was cancelled: {code}")),
            };
            retry.wait(error, None).await?;
        }
    }
}

/// Makes the error of a chain whose last item gives no place to go on from.
fn not_continued(chain: &Apart) -> Error {
    let message = format!("the {chain} cannot be continued: the last item of that chain is no event of ours");
    Error::transient(message)
}
