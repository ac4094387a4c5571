//! What an actor hears between messages: signals, its hooks, and its end.

use super::*;

impl<A: Actor> Run<'_, A> {
    /// What the handler before asked for.
    pub(super) fn heed_ending(&mut self) -> Option<ExitReason> {
        match self.ctx.extras.as_mut()?.ending.take()? {
            Ending::Now(reason) => Some(reason),
            Ending::Drain(reason) => {
                self.drain(reason);
                None
            }
        }
    }

    /// Takes nothing new; the end comes when everything that waits has been handled.
    pub(super) fn drain(&mut self, reason: ExitReason) {
        if self.ctx.extras().draining.is_some() {
            return;
        }
        self.cell.stopping(&reason);
        for envelope in self.cell.lanes.seal() {
            self.cell.reject(envelope, Undelivered::ActorGone(reason.clone()));
        }
        self.ctx.extras().draining = Some(reason);
    }

    /// Hears every signal that waits.
    pub(super) async fn signals(&mut self, state: &mut StateOf<A>) -> Handled {
        while self.cell.lanes.is_signalled() {
            self.signal(state).await?;
            let extras = self.ctx.extras.as_ref();
            if extras.is_some_and(|extras| matches!(extras.ending, Some(Ending::Now(_)))) {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn signal(&mut self, state: &mut StateOf<A>) -> Handled {
        match self.cell.lanes.pop_signal().map(|(signal, _)| signal) {
            // The latter is for stand-ins.
            None | Some(Signal::FarEnd { .. }) => Ok(()),
            Some(Signal::Kill(reason) | Signal::Shutdown(reason)) => Err(reason),
            Some(Signal::Stop(reason)) => {
                self.drain(reason);
                Ok(())
            }
            Some(Signal::Unreferenced) => {
                if self.cell.is_unreferenced() {
                    self.cell.tell_to_end();
                    self.drain(ExitReason::Normal);
                }
                Ok(())
            }
            Some(Signal::Exit { from, reason }) => {
                if self.ctx.extras.as_ref().is_some_and(|extras| extras.traps_exits) {
                    let monitor = crate::id::MonitorRef::LINK;
                    self.run_hook(state, |actor, ctx| actor.down(ctx, monitor, reason)).await
                } else if reason.is_abnormal() {
                    Err(ExitReason::Linked { from, reason: Arc::new(reason) })
                } else {
                    Ok(())
                }
            }
            Some(Signal::Down { monitor, reason }) => {
                let watched =
                    self.ctx.extras.as_mut().and_then(|extras| extras.watching.remove(&monitor));
                match watched {
                    Some(_) => {
                        self.run_hook(state, |actor, ctx| actor.down(ctx, monitor, reason)).await
                    }
                    // The watch was taken back.
                    None => Ok(()),
                }
            }
            Some(Signal::ChildExited(exited)) => {
                self.run_hook(state, |actor, ctx| actor.child_exited(ctx, exited)).await
            }
        }
    }

    /// Runs a hook between messages; its error is the actor's failure.
    pub(super) async fn run_hook(
        &mut self,
        state: &mut StateOf<A>,
        hook: impl for<'a> FnOnce(&'a mut A, &'a mut Context<A>) -> Hook<'a, A>,
    ) -> Handled {
        self.hook(state, hook).await.map_err(|end| match end {
            HookEnd::Failed(error) => ExitReason::Failed(error),
            HookEnd::Ended(reason) => reason,
        })
    }

    pub(super) async fn hook(
        &mut self,
        state: &mut StateOf<A>,
        hook: impl for<'a> FnOnce(&'a mut A, &'a mut Context<A>) -> Hook<'a, A>,
    ) -> Result<(), HookEnd> {
        self.finish_beside().await.map_err(HookEnd::Ended)?;
        self.ctx.sender = crate::id::CallerId::NOBODY;
        let Some(actor) = A::Mode::actor(state) else {
            return Ok(());
        };
        let step = guard(|| hook(actor, &mut self.ctx))
            .map_err(|report| HookEnd::Ended(panicked(report)))?;
        match step.0 {
            HookStep::Done(result) => result.map_err(HookEnd::Failed),
            HookStep::Later(future) => {
                let owed = &mut self.unreleased;
                match Drive::new(self.cell, future, owed, None, None).await {
                    Ok(result) => result.unwrap_or(Ok(())).map_err(HookEnd::Failed),
                    Err(reason) => Err(HookEnd::Ended(reason)),
                }
            }
        }
    }

    /// A hook has the actor to itself: handlers that run beside each other end first.
    pub(super) async fn finish_beside(&mut self) -> Handled {
        if !A::Mode::SHARED {
            return Ok(());
        }
        poll_fn(|cx| {
            if let Some(reason) = aborted(self.cell) {
                return Poll::Ready(Err(reason));
            }
            self.cell.lanes.register(cx.waker());
            let Some(extras) = &mut self.ctx.extras else {
                return Poll::Ready(Ok(()));
            };
            let polled = guard(|| {
                use futures_util::stream::StreamExt;
                while let Poll::Ready(Some(())) = extras.beside.poll_next_unpin(cx) {}
            });
            match polled {
                Err(report) => Poll::Ready(Err(panicked(report))),
                Ok(()) if extras.beside.is_empty() => Poll::Ready(Ok(())),
                Ok(()) => Poll::Pending,
            }
        })
        .await
    }

    /// The end: `stopping` unless the state is not to be trusted, then the children.
    pub(super) async fn leave(
        &mut self,
        state: &mut StateOf<A>,
        mut reason: Box<ExitReason>,
    ) -> Box<ExitReason> {
        let trusted = !matches!(
            *reason,
            ExitReason::Panic(_) | ExitReason::Killed | ExitReason::StartFailed(_)
        );
        if trusted {
            let why = ExitReason::clone(&reason);
            let end = self
                .hook(state, move |actor, ctx| {
                    if let Some(extras) = &mut ctx.extras {
                        extras.ending = None;
                    }
                    actor.stopping(ctx, why)
                })
                .await;
            match end {
                Ok(()) => {}
                Err(HookEnd::Failed(error)) => {
                    tracing::warn!(actor = %self.cell.actor_id(), %error, "`stopping` failed");
                }
                Err(HookEnd::Ended(end)) => *reason = end,
            }
        }
        if let Some(extras) = &mut self.ctx.extras {
            for (monitor, watched) in extras.watching.drain() {
                watched.0.remove_monitor(monitor);
            }
            for child in extras.children.drain(..).rev() {
                if reason.is_abnormal() {
                    child.kill();
                } else {
                    child.request_stop(ExitReason::Shutdown);
                }
            }
        }
        if reason.is_abnormal() {
            self.crash_report(&reason);
        }
        reason
    }

    pub(super) fn crash_report(&self, reason: &ExitReason) {
        if matches!(reason, ExitReason::Killed | ExitReason::Linked { .. }) {
            tracing::debug!(actor = %self.cell.target(), %reason, "actor ended");
        } else {
            tracing::error!(
                actor = %self.cell.target(), name = %self.cell.label(), %reason,
                "actor crashed"
            );
        }
    }
}

pub(super) enum HookEnd {
    /// The hook returned an error.
    Failed(ErrorText),
    /// The generation ended beneath it.
    Ended(ExitReason),
}
