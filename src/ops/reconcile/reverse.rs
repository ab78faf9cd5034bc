//! The conversations that are archived and not listed.

use jiff::Timestamp;

use super::{Item, LOOKUPS, NotListed, Reconciliation, Standing};
use crate::domain::audit::Subject;
use crate::domain::recording::ConversationId;
use crate::ops::Error;
use crate::ops::custody::{self, Custody, started};
use crate::ops::indexed::Indexed;
use crate::ops::scan;
use crate::ops::span::{Axis, Span};

impl Reconciliation<'_> {
    /// Finds the conversations that began in these days, were archived whenever, and are not listed.
    pub(super) async fn reverse(&mut self) -> Result<(), Error> {
        let (session, range) = (self.session, self.request.range);
        let ledger = self.ledger.clone();
        let span = Span {
            range,
            axis: Axis::Call,
        };
        let mut events = Indexed::new(session, &ledger, Some(span)).await?;
        while let Some(page) = events.next().await? {
            session.go_on()?;
            let ids = page.ids.into_iter().filter_map(Subject::conversation);
            let strangers = ids.filter(|id| !self.listed.contains(id));
            let read = |id| {
                let ledger = ledger.clone();
                async move {
                    let held = custody::of(&ledger, id).await?;
                    Ok((id, held.custodies))
                }
            };
            let mut archived_here = Vec::new();
            scan::each(session, LOOKUPS, strangers.collect(), read, |(id, custodies)| {
                let archived = custodies.iter().filter(|custody| custody.archived_at().is_some());
                let start = archived.filter_map(|custody| started(&custody.events)).next();
                // Without a start it is unknown to which days a conversation belongs.
                if let Some(start) = start.filter(|start| range.holds(*start)) {
                    self.figures.not_listed += 1;
                    self.listener.item(Item {
                        interaction_id: id.to_string(),
                        start,
                        reason: Standing::NotListed(NotListed::NotListed),
                        recordings: None,
                    });
                    archived_here.push((id, start, custodies));
                }
            })
            .await?;
            for (id, start, custodies) in archived_here {
                self.unfound(id, start, &custodies).await?;
            }
        }
        Ok(())
    }

    /// Reports a conversation that is not listed and not to be found in the catalog either. No job helps: Genesys knows
    /// it no more.
    async fn unfound(
        &mut self,
        id: ConversationId,
        start: Timestamp,
        custodies: &[Custody],
    ) -> Result<(), Error> {
        let Some(catalogued) = &mut self.catalogued else {
            return Ok(());
        };
        let lacks = catalogued.lacks(id, custodies);
        if let Some((reason, causes)) = self.session.unless_interrupted(lacks).await? {
            *self.figures.reasons.entry(reason).or_default() += 1;
            self.listener.item(Item {
                interaction_id: id.to_string(),
                start,
                reason: Standing::Missing(reason),
                recordings: Some(causes),
            });
        }
        Ok(())
    }
}
