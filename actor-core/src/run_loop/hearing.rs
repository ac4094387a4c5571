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

    /// Takes nothing new; the end comes when everything that waits has been handled. The cell keeps the reason.
    pub(super) fn drain(&mut self, reason: ExitReason) {
        if std::mem::replace(&mut self.is_draining, true) {
            return;
        }
        self.cell.stopping(&reason);
        for envelope in self.cell.lanes.seal() {
            self.cell.reject(envelope, Undelivered::ActorGone(reason.clone()));
        }
    }

    /// Hears every signal that waits.
    pub(super) async fn signals(&mut self, state: &mut StateOf<A>) -> Handled {
        while let Some(signal) = self.hear().map_err(|reason| *reason)? {
            self.heed(state, *signal).await?;
        }
        Ok(())
    }

    /// Heeds `signal`, and hears the others.
    pub(super) async fn signals_from(
        &mut self,
        state: &mut StateOf<A>,
        signal: Box<Signal>,
    ) -> Handled {
        self.heed(state, *signal).await?;
        self.signals(state).await
    }

    /// Hears the signals that wait, up to one that a hook must heed: that one is handed back. Most actors hear only ever
    /// one, a stop, and it should not cost them a future.
    pub(super) fn hear(&mut self) -> Result<Option<Box<Signal>>, Box<ExitReason>> {
        while self.cell.lanes.is_signalled() && !self.ends_now() {
            match self.cell.lanes.pop_signal().map(|(signal, _)| signal) {
                // The latter is for stand-ins.
                None | Some(Signal::FarEnd { .. }) => {}
                Some(Signal::Kill(reason) | Signal::Shutdown(reason)) => {
                    return Err(Box::new(reason));
                }
                Some(Signal::Stop(reason)) => self.drain(reason),
                Some(Signal::Unreferenced) if self.cell.is_unreferenced() => {
                    self.cell.tell_to_end();
                    self.drain(ExitReason::Normal);
                }
                Some(Signal::Unreferenced) => {}
                Some(Signal::Exit { from, reason }) => {
                    if self.ctx.extras.as_ref().is_some_and(|extras| extras.traps_exits) {
                        return Ok(Some(Box::new(Signal::Exit { from, reason })));
                    }
                    if reason.is_abnormal() {
                        let reason = Arc::new(reason);
                        return Err(Box::new(ExitReason::Linked { from, reason }));
                    }
                }
                Some(Signal::Down { monitor, reason }) => {
                    let extras = self.ctx.extras.as_mut();
                    // If there is none, the watch was taken back.
                    if extras.is_some_and(|extras| extras.watching.remove(&monitor).is_some()) {
                        return Ok(Some(Box::new(Signal::Down { monitor, reason })));
                    }
                }
                Some(signal @ Signal::ChildExited(_)) => return Ok(Some(Box::new(signal))),
            }
        }
        Ok(None)
    }

    fn ends_now(&self) -> bool {
        let extras = self.ctx.extras.as_ref();
        extras.is_some_and(|extras| matches!(extras.ending, Some(Ending::Now(_))))
    }

    /// Runs the hook for a signal that [`hear`](Self::hear) handed back.
    async fn heed(&mut self, state: &mut StateOf<A>, signal: Signal) -> Handled {
        match signal {
            Signal::Exit { from: _, reason } => {
                let monitor = crate::id::MonitorRef::LINK;
                self.run_hook(state, |actor, ctx| actor.down(ctx, monitor, reason)).await
            }
            Signal::Down { monitor, reason } => {
                self.run_hook(state, |actor, ctx| actor.down(ctx, monitor, reason)).await
            }
            Signal::ChildExited(exited) => {
                self.run_hook(state, |actor, ctx| actor.child_exited(ctx, exited)).await
            }
            Signal::Kill(_)
            | Signal::Shutdown(_)
            | Signal::Stop(_)
            | Signal::FarEnd { .. }
            | Signal::Unreferenced => Ok(()),
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

    async fn hook(
        &mut self,
        state: &mut StateOf<A>,
        hook: impl for<'a> FnOnce(&'a mut A, &'a mut Context<A>) -> Hook<'a, A>,
    ) -> Result<(), HookEnd> {
        self.finish_beside().await.map_err(HookEnd::Ended)?;
        match self.hook_now(state, hook) {
            Hooked::Done(result) => result.map_err(|end| *end),
            Hooked::Waits(drive) => hooked(drive.await).map_err(|end| *end),
        }
    }

    /// Runs a hook as far as it goes without waiting; nothing may run beside.
    pub(super) fn hook_now<'r>(
        &'r mut self,
        state: &'r mut StateOf<A>,
        hook: impl FnOnce(&'r mut A, &'r mut Context<A>) -> Hook<'r, A>,
    ) -> Hooked<'r, A> {
        self.ctx.sender = crate::id::CallerId::NOBODY;
        let Some(actor) = A::Mode::actor(state) else {
            return Hooked::Done(Ok(()));
        };
        match guard(|| hook(actor, &mut self.ctx)) {
            Err(report) => Hooked::Done(Err(Box::new(HookEnd::Ended(panicked(report))))),
            Ok(Hook(HookStep::Done(result))) => {
                Hooked::Done(result.map_err(|error| Box::new(HookEnd::Failed(error))))
            }
            Ok(Hook(HookStep::Later(future))) => {
                let owed = &mut self.unreleased;
                Hooked::Waits(Box::new(Drive::new(self.cell, future, owed, None, None)))
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

    /// What follows from `started`: nothing, or the end.
    pub(super) fn begun(&self, begun: Result<(), Box<HookEnd>>) -> Option<Box<ExitReason>> {
        match begun.map_err(|end| *end) {
            Err(HookEnd::Failed(error)) => Some(Box::new(ExitReason::StartFailed(error))),
            Err(HookEnd::Ended(reason)) => Some(Box::new(reason)),
            Ok(()) => {
                self.cell.entered(Phase::Running);
                None
            }
        }
    }

    /// The replies that were dropped on this thread are answered at the end, wherever that is.
    pub(super) fn keep_orphans(&mut self) {
        let orphans = ending::take_orphans();
        if !orphans.is_empty() {
            self.ctx.extras().orphans = orphans;
        }
    }

    /// The end: `stopping`, unless the state is not to be trusted, or a handler `beside` has crashed.
    pub(super) fn leave<'r>(
        &'r mut self,
        state: &'r mut StateOf<A>,
        reason: &ExitReason,
        beside: Handled,
    ) -> Hooked<'r, A> {
        self.forget_message();
        if let Err(reason) = beside {
            return Hooked::Done(Err(Box::new(HookEnd::Ended(reason))));
        }
        if !is_trusted(reason) {
            return Hooked::Done(Ok(()));
        }
        let why = reason.clone();
        self.hook_now(state, move |actor, ctx| {
            if let Some(extras) = &mut ctx.extras {
                extras.ending = None;
            }
            actor.stopping(ctx, why)
        })
    }

    /// The end goes on: what follows from `stopping`, then the children.
    pub(super) fn left(
        &mut self,
        left: Result<(), Box<HookEnd>>,
        mut reason: Box<ExitReason>,
    ) -> Box<ExitReason> {
        match left.map_err(|end| *end) {
            Ok(()) => {}
            Err(HookEnd::Failed(error)) => {
                tracing::warn!(actor = %self.cell.actor_id(), %error, "`stopping` failed");
            }
            Err(HookEnd::Ended(end)) => *reason = end,
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

    /// The last word on an actor that nobody supervises; a supervisor writes its own report, and knows more.
    pub(super) fn crash_report(&mut self, reason: &ExitReason) {
        let actor = self.cell.target();
        if matches!(reason, ExitReason::Killed | ExitReason::Linked { .. }) {
            tracing::debug!(%actor, %reason, "actor ended");
        } else if self.cell.is_supervised() {
            tracing::debug!(%actor, %reason, "actor crashed; its supervisor decides");
        } else {
            let recorder = self.ctx.extras.as_mut().and_then(|extras| extras.recorder.as_mut());
            let handled_last = recorder.map(|recorder| FlightRecord::list(&recorder.drain()));
            let name = self.cell.label();
            tracing::error!(%actor, %name, %reason, handled_last, "actor crashed");
        }
    }
}

/// Whether the state is as its handlers left it, and can be shown to `stopping`.
pub(super) const fn is_trusted(reason: &ExitReason) -> bool {
    !matches!(reason, ExitReason::Panic(_) | ExitReason::Killed | ExitReason::StartFailed(_))
}

/// How far a hook got.
pub(super) enum Hooked<'r, A: Actor> {
    Done(Result<(), Box<HookEnd>>),
    /// It awaits. Boxed, as a handler's is.
    Waits(Box<Drive<'r, A, <A::Mode as Mode<A>>::Hooking<'r>>>),
}

/// What a hook that awaited came to.
pub(super) fn hooked(
    driven: Result<Option<Result<(), ErrorText>>, ExitReason>,
) -> Result<(), Box<HookEnd>> {
    match driven {
        Ok(result) => result.unwrap_or(Ok(())).map_err(|error| Box::new(HookEnd::Failed(error))),
        Err(reason) => Err(Box::new(HookEnd::Ended(reason))),
    }
}

pub(super) enum HookEnd {
    /// The hook returned an error.
    Failed(ErrorText),
    /// The generation ended beneath it.
    Ended(ExitReason),
}
