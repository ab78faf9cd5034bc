//! The conversations that are archived and not listed.

use jiff::Timestamp;

use super::{Item, LOOKUPS, NotListed, Reconciliation, Standing};
use crate::ops::Error;
use crate::ops::custody::{self, started};
use crate::ops::scan::{self, Scan};

impl Reconciliation<'_> {
    /// Finds the conversations that began and were archived in these days and are not listed.
    pub(super) async fn reverse(&mut self) -> Result<(), Error> {
        let (session, range) = (self.session, self.request.range);
        let ledger = self.ledger.clone();
        let mut scan = Scan::new(&ledger, Some(range.start()));
        let archived = |at: Option<Timestamp>| at.is_some_and(|at| range.holds(at));
        while let Some(page) = scan.next(|record| archived(record.archived_at)).await? {
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
                let start = custodies.iter().find_map(|custody| started(&custody.events));
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
