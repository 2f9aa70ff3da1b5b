-- Event triggers, which run at every DDL statement, without those of extensions.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_event_trigger.
SELECT e.evtname::text AS name,
       e.evtevent::text AS event,
       pg_get_userbyid(e.evtowner)::text AS owner,
       e.evtenabled <> 'D' AS is_enabled,
       e.evtfoid::regproc::text AS function
FROM pg_event_trigger AS e
WHERE NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid
                    AND d.deptype = 'e')
ORDER BY e.evtname
