//! Sketches: who counts, and how rare ranks are.

use crate::sketch::{Mark, Sketch};
use events::UserId;
use uuid::Uuid;

fn of(people: std::ops::Range<u128>) -> Sketch {
    let mut sketch = Sketch::default();
    people.for_each(|id| sketch.add(Mark::of(UserId::from_uuid(Uuid::from_u128(id)))));
    sketch
}

#[test]
fn whoever_counts_twice_counts_once_and_the_order_does_not_matter() {
    let mut merged = of(500..1_000);
    merged.merge(of(0..700).registers());
    assert_eq!(merged, of(0..1_000));
    merged.merge(of(300..800).registers());
    assert_eq!(merged, of(0..1_000), "nobody new");
    assert_eq!(merged.registers().len(), 4_096);
}

#[test]
fn ranks_are_as_rare_as_they_say() {
    let of_rank = |sketch: &Sketch, ranks: std::ops::RangeInclusive<u8>| {
        sketch.registers().iter().filter(|rank| ranks.contains(rank)).count()
    };
    assert_eq!(of_rank(&of(7..8), 1..=53), 1);
    // Of few people half have rank 1, a quarter rank 2.
    let few = of(0..400);
    assert!((150..230).contains(&of_rank(&few, 1..=1)) && (60..130).contains(&of_rank(&few, 2..=2)), "{few:?}");
}
