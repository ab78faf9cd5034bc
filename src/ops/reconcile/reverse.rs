//! The conversations that are archived and not listed.

use super::{Item, LOOKUPS, NotListed, Reconciliation, Standing};
use crate::ops::Error;
use crate::ops::custody::{self, started};
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
        let mut events = Indexed::new(&ledger, Some(span)).await?;
        while let Some(page) = events.next().await? {
            session.go_on()?;
            let strangers = page.ids.into_iter().filter(|id| !self.listed.contains(id));
            let read = |id| {
                let ledger = ledger.clone();
                async move {
                    let (custodies, _) = custody::of(&ledger, id).await?;
                    Ok((id, custodies))
                }
            };
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
                }
            })
            .await?;
        }
        Ok(())
    }
}
