// Vectors: how far each partition of the log has come, as `partition:sequence,…`. Pure.

/** The vector that a text spells; of nothing, the empty one. */
export const parse = (text) =>
  new Map((text ? text.split(",") : []).map((position) => position.trim().split(":")).map(([p, s]) => [p, Number(s)]));

export const format = (vector) => [...vector].map(([partition, sequence]) => `${partition}:${sequence}`).join(",");

/** Raises a vector to what another, or a single position, has seen; it never falls. */
export const raise = (vector, text) => {
  for (const [partition, sequence] of parse(text)) {
    if (sequence > (vector.get(partition) ?? -1)) vector.set(partition, sequence);
  }
};
