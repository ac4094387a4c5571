//! Tasks that run again, because results of theirs were lost with another node.
//!
//! Such a task is submitted like any other, with what its recipe says, and writes objects that there are already. One
//! may need what another makes that nobody else needs any more; so they are begun in their order, and what each
//! makes is kept until all have been begun.

use std::{any::Any, sync::Arc};

use mobula_actor_core::{current::Current, panic_capture, sync_scope, wire::Codec};
use mobula_store::Rebuild;

use crate::{dispatch::Shared, recipe::Call, visitor};

impl Shared {
    /// Runs tasks again whose results are lost, in this order; if one cannot be begun, those after it are not.
    pub(crate) fn rebuild(self: &Arc<Self>, tasks: Vec<Rebuild>) {
        // What one makes for the next is needed by nobody else until that one is begun.
        let mut holds = Vec::new();
        let mut failed: Option<String> = None;
        for task in tasks {
            let begun = match &failed {
                Some(text) => Err(text.clone()),
                None => self.begin_again(&task),
            };
            match begun {
                Ok(hold) => holds.push(hold),
                Err(text) => {
                    for object in &task.lost {
                        self.store.cannot_rebuild(*object, &text);
                    }
                    failed = Some(text);
                }
            }
        }
    }

    fn begin_again(self: &Arc<Self>, task: &Rebuild) -> Result<Vec<Box<dyn Any + Send>>, String> {
        // Reading arguments runs the user's code.
        let begun = panic_capture::guard(|| {
            sync_scope(Current::root(self.system.clone()), || {
                let call = Codec::<Call>::serde().decode(&task.call);
                let call = call.map_err(|error| error.to_string())?;
                let run = visitor::run_again(call.function).ok_or("its function is not here")?;
                run(self, &call, task)
            })
        });
        begun.unwrap_or_else(|report| Err(format!("its arguments cannot be read: {report}")))
    }
}
