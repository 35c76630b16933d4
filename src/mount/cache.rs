//! [`Cache`]: things that can be made again, as many as there is room for.
//!
//! **Invariants.** What is made for one caller is made once for all who wait for it. The bytes counted are those of what is held, exactly.
//! What was made last is held, however large it is. A failure is not remembered.
//!
//! *Not here:* what the things are, and how large (whoever makes one says so).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// Things by key, the least recently used ones let go first.
pub(super) struct Cache<K, V> {
    most_bytes: usize,
    shelf: Mutex<Shelf<K, V>>,
}

struct Shelf<K, V> {
    slots: HashMap<K, Slot<V>>,
    bytes: usize,
    turn: u64,
}

struct Slot<V> {
    thing: Arc<Mutex<Option<Arc<V>>>>,
    /// None while it is being made.
    bytes: Option<usize>,
    used: u64,
}

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, shelf: Mutex::new(Shelf { slots: HashMap::new(), bytes: 0, turn: 0 }) }
    }

    /// The thing for `key`: the one that is here, or one that is made now, with its size in bytes.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> Result<(V, usize)>) -> Result<Arc<V>> {
        let place = held(&self.shelf).slot(key);
        let mut thing = held(&place);
        if let Some(thing) = &*thing {
            return Ok(Arc::clone(thing));
        }
        let made = make();
        let mut shelf = held(&self.shelf);
        match made {
            Ok((value, bytes)) => {
                let value = Arc::new(value);
                *thing = Some(Arc::clone(&value));
                shelf.count(key, bytes, self.most_bytes);
                debug_assert!(shelf.is_exact(), "{} bytes are counted", shelf.bytes);
                Ok(value)
            }
            Err(error) => {
                shelf.slots.remove(&key);
                Err(error)
            }
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let shelf = held(&self.shelf);
        assert!(shelf.is_exact());
        shelf.bytes
    }
}

impl<K: Copy + Eq + Hash, V> Shelf<K, V> {
    fn slot(&mut self, key: K) -> Arc<Mutex<Option<Arc<V>>>> {
        self.turn += 1;
        let slot = self.slots.entry(key).or_insert_with(|| Slot { thing: Arc::default(), bytes: None, used: 0 });
        slot.used = self.turn;
        Arc::clone(&slot.thing)
    }

    /// Counts what was made, and lets others go for it. Who waited for a failure and made it after all finds no slot: it is not held.
    fn count(&mut self, key: K, bytes: usize, most_bytes: usize) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        self.bytes = self.bytes - slot.bytes.unwrap_or(0) + bytes;
        slot.bytes = Some(bytes);
        while self.bytes > most_bytes {
            let others = self.slots.iter().filter(|(other, slot)| **other != key && slot.bytes.is_some());
            let Some(oldest) = others.min_by_key(|(_, slot)| slot.used).map(|(key, _)| *key) else { return };
            let gone = self.slots.remove(&oldest).and_then(|slot| slot.bytes);
            self.bytes -= gone.unwrap_or(0);
        }
    }

    fn is_exact(&self) -> bool {
        self.bytes == self.slots.values().filter_map(|slot| slot.bytes).sum::<usize>()
    }
}

/// A lock; whoever panicked with it left nothing half done.
pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::Error;

    #[test]
    fn what_was_used_least_recently_goes_first_and_bytes_are_exact() {
        let cache = Cache::new(100);
        let make = |key: u32, bytes| cache.get(key, || Ok((key, bytes))).map(|thing| *thing).expect("made");
        for key in [1, 2, 3] {
            assert_eq!(make(key, 30), key);
        }
        cache.get(1, || Err(Error::failed("it is here"))).expect("held");
        make(4, 30);
        assert_eq!(cache.bytes(), 90);
        assert!(cache.get(2, || Err(Error::failed("gone"))).is_err(), "the oldest went");
        cache.get(1, || Err(Error::failed("gone"))).expect("it was used in between");
        make(5, 500);
        assert_eq!(cache.bytes(), 500, "one that is larger than all is held alone");
        make(6, 1);
        assert_eq!(cache.bytes(), 1);
    }

    #[test]
    fn many_who_want_the_same_have_it_made_once_and_a_failure_is_not_remembered() {
        let (cache, made) = (Cache::new(100), AtomicU32::new(0));
        assert!(cache.get(7, || Err(Error::failed("not now"))).is_err());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let make = || {
                        made.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        Ok((1, 1))
                    };
                    cache.get(7, make).expect("made");
                });
            }
        });
        assert_eq!((made.load(Ordering::Relaxed), cache.bytes()), (1, 1));
    }
}
