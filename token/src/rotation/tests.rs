use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(600);
const DAY: u64 = 24 * 3600;
const START: u64 = 1_000_000;

/// A provider in small: carries the plan out, signs, and checks at every moment what must always hold.
#[derive(Default)]
struct Provider {
    keys: Vec<KeyRecord>,
    made: usize,
    /// The last moment at which each key signed.
    signed: BTreeMap<KeyId, UnixTime>,
}

impl Provider {
    fn act(&mut self, now: UnixTime) {
        for step in plan(&self.keys, TTL, now) {
            match step {
                Step::Publish {
                    signs_from,
                    signs_until,
                } => self.publish(signs_from, signs_until, now),
                Step::Retire(kid) => self.retire(&kid, now),
            }
        }
        assert_eq!(plan(&self.keys, TTL, now), [], "nothing is due twice");
        assert!(self.keys.len() <= 3, "{:?}", self.keys);
    }

    fn publish(&mut self, signs_from: UnixTime, signs_until: UnixTime, now: UnixTime) {
        assert!(
            self.made == 0 || signs_from >= now.plus(OVERLAP),
            "it signs too early"
        );
        assert!(
            signs_until.since(signs_from) >= SIGNING_PERIOD,
            "it signs too short"
        );
        let kid = format!("kid_{}", self.made).parse().unwrap();
        self.made += 1;
        self.keys.push(KeyRecord {
            kid,
            published: now,
            signs_from,
            signs_until,
        });
    }

    fn retire(&mut self, kid: &KeyId, now: UnixTime) {
        if let Some(signed) = self.signed.get(kid) {
            assert!(signed.plus(TTL) < now, "a token of {kid} is alive");
        }
        let before = self.keys.len();
        self.keys.retain(|key| key.kid != *kid);
        assert_eq!(self.keys.len(), before - 1, "{kid} was there once");
    }

    fn sign(&mut self, now: UnixTime) {
        let key = signer(&self.keys, now).expect("a key signs at every moment");
        let long_known = key.published.plus(OVERLAP) <= now;
        assert!(
            long_known || key.kid.as_str() == "kid_0",
            "{key:?} signs at {now}, too new"
        );
        self.signed.insert(key.kid.clone(), now);
    }
}

fn key(kid: &str, published: u64, signs_from: u64, signs_until: u64) -> KeyRecord {
    KeyRecord {
        kid: kid.parse().unwrap(),
        published: UnixTime::from_secs(published),
        signs_from: UnixTime::from_secs(signs_from),
        signs_until: UnixTime::from_secs(signs_until),
    }
}

#[test]
fn a_year_of_hours_rotates_monthly() {
    let mut provider = Provider::default();
    for hour in 0..365 * 24 {
        let now = UnixTime::from_secs(START + hour * 3600);
        provider.act(now);
        provider.sign(now);
    }
    assert_eq!(provider.made, 13);
}

#[test]
fn the_first_key_signs_at_once() {
    let now = UnixTime::from_secs(START);
    let first = Step::Publish {
        signs_from: now,
        signs_until: now.plus(SIGNING_PERIOD),
    };
    assert_eq!(plan(&[], TTL, now), [first]);
}

#[test]
fn after_a_long_absence_the_old_key_goes_on_for_the_overlap() {
    let old = [key("kid_0", START, START, START + 30 * DAY)];
    let now = UnixTime::from_secs(START + 90 * DAY);
    assert_eq!(signer(&old, now), old.first());
    let signs_from = now.plus(OVERLAP);
    let next = Step::Publish {
        signs_from,
        signs_until: signs_from.plus(SIGNING_PERIOD),
    };
    assert_eq!(plan(&old, TTL, now), [next]);
}

#[test]
fn a_clock_that_went_back_makes_no_key_and_retires_none() {
    let keys = [
        key("kid_0", START, START, START + 30 * DAY),
        key("kid_1", START, START + DAY, START + 31 * DAY),
    ];
    assert_eq!(plan(&keys, TTL, UnixTime::from_secs(5)), []);
    assert_eq!(signer(&keys, UnixTime::from_secs(5)), keys.first());
}

#[test]
fn replicas_agree_in_whatever_order_they_read() {
    let (one, two) = (
        key("kid_0", START, START, START + DAY),
        key("kid_1", START, START, START + DAY),
    );
    let now = UnixTime::from_secs(START + 1);
    let orders = [[one.clone(), two.clone()], [two.clone(), one]];
    assert!(orders.iter().all(|keys| signer(keys, now) == Some(&two)));
}

#[test]
fn a_replaced_key_stays_for_its_last_token_and_the_clocks() {
    let keys = [
        key("kid_0", START, START, START + DAY),
        key("kid_1", START, START + DAY, START + 31 * DAY),
    ];
    let last = UnixTime::from_secs(START + DAY)
        .plus(TTL)
        .plus(LEEWAY)
        .plus(LEEWAY);
    assert_eq!(plan(&keys, TTL, last), []);
    let after = last.plus(Duration::from_secs(1));
    assert_eq!(
        plan(&keys, TTL, after),
        [Step::Retire("kid_0".parse().unwrap())]
    );
}

proptest! {
    /// The plan is looked at rarely and irregularly, tokens are signed at any moment between.
    #[test]
    fn holds_for_any_gaps(
        steps in prop::collection::vec((1_u64..5_000_000, prop::collection::vec(0.0..1.0, 0..4)), 1..200)
    ) {
        let mut provider = Provider::default();
        let mut now = START;
        for (gap, between) in steps {
            provider.act(UnixTime::from_secs(now));
            provider.sign(UnixTime::from_secs(now));
            let mut moments: Vec<u64> = between.iter().map(|part| now + (gap as f64 * part) as u64).collect();
            moments.sort_unstable();
            for moment in moments {
                provider.sign(UnixTime::from_secs(moment));
            }
            now += gap;
        }
    }

    /// Keys asked for by hand, at any time, as the operator's rotate command does.
    #[test]
    fn holds_when_keys_are_added_by_hand(steps in prop::collection::vec((1_u64..5_000_000, any::<bool>()), 1..60)) {
        let mut provider = Provider::default();
        let mut now = START;
        for (gap, by_hand) in steps {
            let time = UnixTime::from_secs(now);
            if by_hand && provider.made > 0 && provider.keys.len() < 3 {
                let signs_from = time.plus(OVERLAP);
                provider.publish(signs_from, signs_from.plus(SIGNING_PERIOD), time);
            }
            for step in plan(&provider.keys, TTL, time) {
                match step {
                    Step::Publish { signs_from, signs_until } => provider.publish(signs_from, signs_until, time),
                    Step::Retire(kid) => provider.retire(&kid, time),
                }
            }
            provider.sign(time);
            now += gap;
        }
    }
}
