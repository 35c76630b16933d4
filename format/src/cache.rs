//! [`Cache`]: a bounded store of decoded bytes, each decoded by one thread at a time.
//!
//! **Invariants.** The bytes held never exceed the budget, and the count of them is exact: it is the sum over the
//! entries (a value larger than the whole budget is handed out and not kept). Two threads that want the same key never
//! decode it twice at once: the second waits for the first. A failed load leaves nothing behind, so the next try starts
//! anew. A load MUST NOT ask the same cache for another key, or two threads could wait for each other.
//!
//! *Not here:* what the bytes are, how they are verified.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// A value with a size that counts against the budget of a [`Cache`].
pub(crate) trait Weight {
    /// The bytes that this value holds.
    fn weight(&self) -> u64;
}

/// A least-recently-used cache with a budget in bytes.
pub(crate) struct Cache<K, V> {
    budget_bytes: u64,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    order: BTreeMap<u64, K>,
    loading: HashMap<K, Arc<Mutex<()>>>,
    used_bytes: u64,
    clock: u64,
}

struct Entry<V> {
    value: Arc<V>,
    used_at: u64,
}

impl<K: Copy + Eq + Hash, V: Weight> Cache<K, V> {
    /// An empty cache that keeps at most `budget_bytes`.
    pub(crate) fn new(budget_bytes: u64) -> Self {
        let state = State { entries: HashMap::new(), order: BTreeMap::new(), loading: HashMap::new(), used_bytes: 0, clock: 0 };
        Self { budget_bytes, state: Mutex::new(state) }
    }

    /// The value of `key`, where it is at hand.
    pub(crate) fn get(&self, key: K) -> Option<Arc<V>> {
        lock(&self.state).touch(key)
    }

    /// The value of `key`, loaded by `load` where it is not at hand.
    pub(crate) fn get_or_load(&self, key: K, load: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        let flight = {
            let mut state = lock(&self.state);
            if let Some(value) = state.touch(key) {
                return Ok(value);
            }
            Arc::clone(state.loading.entry(key).or_default())
        };
        let value = {
            let _turn = lock(&flight);
            match self.get(key) {
                Some(value) => Ok(value),
                None => load().map(|value| self.keep(key, Arc::new(value))),
            }
        };
        let mut state = lock(&self.state);
        // Clones are made and dropped under this lock alone, so a count of one says that nobody waits.
        drop(flight);
        if state.loading.get(&key).is_some_and(|flight| Arc::strong_count(flight) == 1) {
            state.loading.remove(&key);
        }
        value
    }

    fn keep(&self, key: K, value: Arc<V>) -> Arc<V> {
        lock(&self.state).insert(key, Arc::clone(&value), self.budget_bytes);
        value
    }

    #[cfg(test)]
    fn used_bytes(&self) -> u64 {
        lock(&self.state).used_bytes
    }
}

impl<K: Copy + Eq + Hash, V: Weight> State<K, V> {
    fn tick(&mut self) -> u64 {
        self.clock = self.clock.wrapping_add(1);
        self.clock
    }

    fn touch(&mut self, key: K) -> Option<Arc<V>> {
        let now = self.tick();
        let entry = self.entries.get_mut(&key)?;
        self.order.remove(&entry.used_at);
        entry.used_at = now;
        self.order.insert(now, key);
        Some(Arc::clone(&entry.value))
    }

    fn insert(&mut self, key: K, value: Arc<V>, budget_bytes: u64) {
        let weight = value.weight();
        if weight > budget_bytes {
            return;
        }
        self.remove(key);
        while self.used_bytes.saturating_add(weight) > budget_bytes {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            self.remove(*oldest);
        }
        let now = self.tick();
        self.used_bytes = self.used_bytes.saturating_add(weight);
        self.order.insert(now, key);
        self.entries.insert(key, Entry { value, used_at: now });
    }

    fn remove(&mut self, key: K) {
        if let Some(entry) = self.entries.remove(&key) {
            self.order.remove(&entry.used_at);
            self.used_bytes = self.used_bytes.saturating_sub(entry.value.weight());
        }
    }
}

/// Nothing in here is left half done by a panic, so a poisoned lock is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::{Error, Kind};

    struct Weighs(u64);

    impl Weight for Weighs {
        fn weight(&self) -> u64 {
            self.0
        }
    }

    fn load(cache: &Cache<u32, Weighs>, key: u32, weight: u64) {
        cache.get_or_load(key, || Ok(Weighs(weight))).expect("it loads");
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = Cache::new(10);
        load(&cache, 1, 4);
        load(&cache, 2, 4);
        assert!(cache.get(1).is_some());
        load(&cache, 3, 4);
        let held: Vec<bool> = [1, 2, 3].map(|key| cache.get(key).is_some()).into();
        assert_eq!(held, [true, false, true]);
    }

    #[test]
    fn the_count_of_bytes_is_exact_and_within_the_budget() {
        let cache = Cache::new(100);
        for step in 0..1000u32 {
            load(&cache, step % 37, u64::from(step % 29));
            let sum: u64 = lock(&cache.state).entries.values().map(|entry| entry.value.0).sum();
            assert_eq!(cache.used_bytes(), sum);
            assert!(sum <= 100, "step {step}: {sum}");
        }
    }

    #[test]
    fn a_value_above_the_budget_is_handed_out_and_not_kept() {
        let cache = Cache::new(10);
        load(&cache, 1, 4);
        assert_eq!(cache.get_or_load(2, || Ok(Weighs(11))).expect("it loads").0, 11);
        assert!(cache.get(2).is_none() && cache.get(1).is_some());
        assert_eq!(cache.used_bytes(), 4);
    }

    #[test]
    fn threads_that_want_the_same_value_load_it_once() {
        let cache = Cache::new(100);
        let loads = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let value = cache.get_or_load(7, || {
                        loads.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        Ok(Weighs(5))
                    });
                    assert_eq!(value.expect("it loads").0, 5);
                });
            }
        });
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(lock(&cache.state).loading.len(), 0);
    }

    #[test]
    fn a_load_that_failed_is_tried_again() {
        let cache = Cache::new(100);
        let failed = cache.get_or_load(1, || Err::<Weighs, _>(Error::new(Kind::Damaged, "no")));
        assert!(failed.is_err());
        load(&cache, 1, 3);
        assert_eq!(cache.used_bytes(), 3);
    }
}
