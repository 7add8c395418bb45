-- name: contact_columns
SELECT json_group_array(json_array(c.address, c.topics_in, c.topics_out, c.unsubscribed_at,
  json(c.attributes), c.created_at, c.last_sent_at, c.mails, c.mails_since, c.reacted_at, c.opened_at,
  c.clicked_at, c.replied_at, json(c.consent)))
FROM

-- name: contacts_named
(SELECT *, NULL AS consent FROM json_each(?2) j
 CROSS JOIN contact ON contact.list_id = ?1 AND contact.address = j.value) c

-- name: contacts_page
(SELECT *, NULL AS consent FROM contact WHERE list_id = ?1 AND address > ?2 AND address GLOB ?3
 ORDER BY address LIMIT ?4) c

-- name: contacts_page_consent
(SELECT t.*, (SELECT json_array(s.at, s.act, s.topic, s.method, s.source, coalesce(f.text, ''), s.ip,
     s.list)
   FROM consent s LEFT JOIN consent_form f ON f.id = s.form_id
   WHERE s.address = t.address AND s.list = ?5 AND s.act = 'given' ORDER BY s.at DESC LIMIT 1)
   AS consent
 FROM contact t WHERE t.list_id = ?1 AND t.address > ?2 AND t.address GLOB ?3
 ORDER BY t.address LIMIT ?4) c

-- name: known
-- ?2: addresses. Those on the list, with what they left.
SELECT json_group_array(json_array(c.address, c.unsubscribed_at IS NOT NULL, c.topics_out))
FROM json_each(?2) j CROSS JOIN contact c ON c.list_id = ?1 AND c.address = j.value;

-- name: import
-- ?2: [[address, attributes, topics in, topics out, unsubscribed at]]; ?3: now. Who has left stays
-- out, whatever a file says; ?4 = 1 (restoring an export) lets the file win.
INSERT INTO contact (list_id, address, attributes, topics_in, topics_out, unsubscribed_at, created_at)
SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?3 FROM json_each(?2)
WHERE true
ON CONFLICT (list_id, address) DO UPDATE SET
  attributes = CASE excluded.attributes WHEN '{}' THEN attributes ELSE excluded.attributes END,
  topics_in = CASE ?4 WHEN 1 THEN (topics_in & ~excluded.topics_out) | excluded.topics_in
    ELSE (topics_in | excluded.topics_in) & ~(topics_out | excluded.topics_out) END,
  topics_out = CASE ?4 WHEN 1 THEN (topics_out & ~excluded.topics_in) | excluded.topics_out
    ELSE topics_out | excluded.topics_out END,
  unsubscribed_at = CASE ?4 WHEN 1 THEN excluded.unsubscribed_at
    ELSE coalesce(unsubscribed_at, excluded.unsubscribed_at) END;

-- name: choose
-- ?3: now; ?4, ?5: topics chosen, left; ?6: 1 leaves the list, 0 comes back, NULL neither; ?7: 1 when
-- something is given, which is a reaction.
INSERT INTO contact (list_id, address, created_at, topics_in, topics_out, unsubscribed_at, reacted_at)
VALUES (?1, ?2, ?3, ?4, ?5, CASE ?6 WHEN 1 THEN ?3 END, CASE ?7 WHEN 1 THEN ?3 END)
ON CONFLICT (list_id, address) DO UPDATE SET
  topics_in = (topics_in & ~?5) | ?4,
  topics_out = (topics_out & ~?4) | ?5,
  unsubscribed_at = CASE ?6 WHEN 1 THEN coalesce(unsubscribed_at, ?3) WHEN 0 THEN NULL
    ELSE unsubscribed_at END,
  reacted_at = CASE ?7 WHEN 1 THEN max(coalesce(reacted_at, 0), ?3) ELSE reacted_at END,
  mails_since = CASE ?7 WHEN 1 THEN 0 ELSE mails_since END;

-- name: standing_before
SELECT topics_in, topics_out, unsubscribed_at IS NOT NULL FROM contact
WHERE list_id = ?1 AND address = ?2;

-- name: set_attributes
UPDATE contact SET attributes = ?3 WHERE list_id = ?1 AND address = ?2;

-- name: drop_contacts
DELETE FROM contact WHERE list_id = ?1 AND address IN (SELECT value ->> 0 FROM json_each(?2));

-- name: one_contact
SELECT coalesce(last_sent_at, created_at) FROM contact WHERE list_id = ?1 AND address = ?2;

-- name: engage
-- ?1: [[list, address, opened, clicked, replied, the last of them]]; list '' means every list.
UPDATE contact SET
  opened_at = nullif(max(coalesce(opened_at, 0), coalesce(e.opened, 0)), 0),
  clicked_at = nullif(max(coalesce(clicked_at, 0), coalesce(e.clicked, 0)), 0),
  replied_at = nullif(max(coalesce(replied_at, 0), coalesce(e.replied, 0)), 0),
  reacted_at = max(coalesce(reacted_at, 0), e.latest),
  mails_since = 0
FROM (
  SELECT cl.id AS list_id, j.value ->> 1 AS address, max(j.value ->> 2) AS opened,
    max(j.value ->> 3) AS clicked, max(j.value ->> 4) AS replied, max(j.value ->> 5) AS latest
  FROM json_each(?1) j CROSS JOIN list cl ON j.value ->> 0 IN ('', cl.name)
  GROUP BY 1, 2) e
WHERE contact.list_id = e.list_id AND contact.address = e.address;
