-- name: order_by_column
-- ?1, ?2: the first and the last id; ?3: the path of the merge field; ?4: now. A field is a date
-- (2026-11-01, 2026/11/01, 20261101, with or without a time), or the days since then.
UPDATE delivery SET due_at = due_at + late.class FROM (
  SELECT id, CASE WHEN days <= 30 THEN 0 WHEN days <= 60 THEN 1 WHEN days <= 90 THEN 2 ELSE 3 END
    AS class
  FROM (
    SELECT id, CASE
      WHEN said = '' THEN NULL
      WHEN said NOT GLOB '*[^0-9]*' AND length(said) = 8 THEN
        julianday(?4 / 86400000.0 + 2440587.5)
        - julianday(substr(said, 1, 4) || '-' || substr(said, 5, 2) || '-' || substr(said, 7))
      WHEN said NOT GLOB '*[^0-9.]*' THEN CAST(said AS REAL)
      ELSE julianday(?4 / 86400000.0 + 2440587.5) - julianday(replace(said, '/', '-'))
      END AS days
    FROM (
      SELECT id, trim(coalesce(CAST(json_extract(CAST(merge AS TEXT), ?3) AS TEXT), '')) AS said
      FROM payload WHERE id BETWEEN ?1 AND ?2))) late
WHERE delivery.id = late.id AND late.class > 0;

-- name: order_by_list
-- ?1, ?2: the first and the last id; ?3: the list; ?4: now.
UPDATE delivery SET due_at = due_at + late.class FROM (
  SELECT p.id, CASE
    WHEN c.reacted_at IS NULL THEN 3
    WHEN c.reacted_at >= ?4 - 30 * 86400000 THEN 0
    WHEN c.reacted_at >= ?4 - 60 * 86400000 THEN 1
    WHEN c.reacted_at >= ?4 - 90 * 86400000 THEN 2
    ELSE 3 END AS class
  FROM payload p
  LEFT JOIN contact c ON c.list_id = (SELECT id FROM list WHERE name = ?3)
    AND c.address = coalesce(p.address, p.recipient)
  WHERE p.id BETWEEN ?1 AND ?2) late
WHERE delivery.id = late.id AND late.class > 0;
