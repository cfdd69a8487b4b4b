//! How the tasks of a connection on the portable engine learn that it is closed.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::machine::sys;

/// The two tasks that a connection may have.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Reader,
    Writer,
}

/// Tells the tasks of a connection that it is closed.
#[derive(Default)]
pub(super) struct Closing {
    pub(super) closed: Cell<bool>,
    /// The socket, where it is to be closed with a reset.
    resets: Cell<Option<i32>>,
    wakers: RefCell<[Option<Waker>; 2]>,
}

impl Closing {
    /// Closes; `is_held` says that the caller holds a half of the connection, so that its socket is still open. Dropping
    /// that half would end the connection in order, before a reset that is wanted.
    pub(super) fn close(&self, is_held: bool) {
        self.closed.set(true);
        if let Some(socket) = self.resets.take().filter(|_| is_held) {
            sys::disconnect(socket);
        }
        for waker in self.wakers.take().into_iter().flatten() {
            waker.wake();
        }
    }

    /// Remembers a socket that is to be closed with a reset.
    pub(super) fn resets(&self, socket: i32) {
        self.resets.set(Some(socket));
    }

    fn remember(&self, role: Role, waker: &Waker) {
        let place = &mut self.wakers.borrow_mut()[role as usize];
        if !place.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *place = Some(waker.clone());
        }
    }
}

/// Carries on `task` until it ends or its connection is closed; then everything that it holds is dropped.
pub(super) async fn unless_closed(
    closing: Rc<Closing>,
    role: Role,
    task: impl Future<Output = ()>,
) {
    let mut task = pin!(task);
    poll_fn(|context| {
        if closing.closed.get() {
            return Poll::Ready(());
        }
        closing.remember(role, context.waker());
        let done = task.as_mut().poll(context);
        if closing.closed.get() { Poll::Ready(()) } else { done }
    })
    .await;
}
