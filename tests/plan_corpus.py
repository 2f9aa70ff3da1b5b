"""A generator of plans: many kinds of queries, each under several settings, on a real server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from conftest import Database

SCHEMA = """
CREATE TABLE film (id int PRIMARY KEY, genre int NOT NULL, year int, title text, size numeric);
INSERT INTO film SELECT n, n % 40, 1950 + n % 70, 'film ' || n, n * 1.5
FROM generate_series(1, 6000) AS n;
CREATE INDEX film_genre ON film (genre);
CREATE INDEX film_year_size ON film (year, size);
CREATE TABLE genre (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO genre SELECT n, 'genre ' || n FROM generate_series(0, 39) AS n;
CREATE TABLE loan (id int PRIMARY KEY, film_id int NOT NULL REFERENCES film, at date NOT NULL,
                   days int);
INSERT INTO loan SELECT n, 1 + (n * 7919) % 6000, date '2030-01-01' + n % 365, n % 30
FROM generate_series(1, 8000) AS n;
CREATE INDEX loan_film ON loan (film_id);
CREATE TABLE visit (at date NOT NULL, n int NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2030-01-01') TO ('2030-05-01');
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM ('2030-05-01') TO ('2030-09-01');
CREATE TABLE visit_3 PARTITION OF visit FOR VALUES FROM ('2030-09-01') TO ('2031-01-01');
INSERT INTO visit SELECT date '2030-01-01' + n % 365, n, 'visit ' || n
FROM generate_series(1, 6000) AS n;
CREATE INDEX visit_at ON visit (at);
CREATE TABLE note (id int PRIMARY KEY, film_id int REFERENCES film ON DELETE CASCADE, body text);
INSERT INTO note SELECT n, n, 'note' FROM generate_series(1, 500) AS n;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN NEW.body := upper(NEW.body); RETURN NEW; END';
CREATE TRIGGER note_shout BEFORE INSERT OR UPDATE ON note FOR EACH ROW EXECUTE FUNCTION shout();
CREATE FUNCTION nap(seconds float) RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL SAFE
AS 'BEGIN PERFORM pg_sleep(seconds); RETURN 1; END';
ANALYZE;
"""

QUERIES = (
    # scans
    "SELECT * FROM film",
    "SELECT * FROM film WHERE id = 77",
    "SELECT id FROM film WHERE id BETWEEN 10 AND 900",
    "SELECT * FROM film WHERE genre = 3 AND title LIKE '%7%'",
    "SELECT * FROM film WHERE genre = 3 OR year = 1960",
    "SELECT * FROM film WHERE genre IN (1, 2, 3) AND year > 1990",
    "SELECT * FROM film WHERE title = 'film 12'",
    "SELECT count(*) FROM film WHERE size > 1000",
    "SELECT * FROM film ORDER BY id DESC LIMIT 5",
    "SELECT * FROM film TABLESAMPLE SYSTEM (20)",
    "SELECT * FROM film WHERE ctid = '(1,1)'",
    "SELECT * FROM generate_series(1, 500) AS n WHERE n % 3 = 0",
    "VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "SELECT 1 WHERE false",
    "SELECT unnest(ARRAY[1, 2, 3]), generate_series(1, 4)",
    # joins
    "SELECT * FROM film JOIN genre ON genre.id = film.genre",
    "SELECT * FROM film JOIN loan ON loan.film_id = film.id WHERE film.genre = 7",
    "SELECT count(*) FROM film f JOIN loan l ON l.film_id = f.id JOIN genre g ON g.id = f.genre",
    "SELECT count(*) FROM film LEFT JOIN loan ON loan.film_id = film.id WHERE loan.id IS NULL",
    "SELECT count(*) FROM film FULL JOIN loan ON loan.film_id = film.id",
    "SELECT count(*) FROM film WHERE EXISTS (SELECT FROM loan WHERE loan.film_id = film.id)",
    "SELECT count(*) FROM film WHERE NOT EXISTS (SELECT FROM loan WHERE loan.film_id = film.id)",
    "SELECT count(*) FROM genre a JOIN genre b ON a.id < b.id",
    "SELECT * FROM genre g, LATERAL (SELECT * FROM film WHERE genre = g.id LIMIT 2) f",
    "SELECT count(*) FROM film a JOIN film b USING (id) JOIN film c USING (id)",
    # aggregates, sorts, sets
    "SELECT genre, count(*), sum(size) FROM film GROUP BY genre",
    "SELECT genre, year, count(*) FROM film GROUP BY ROLLUP (genre, year)",
    "SELECT DISTINCT year FROM film",
    "SELECT * FROM film ORDER BY title",
    "SELECT * FROM film ORDER BY year, title LIMIT 40",
    "SELECT title, row_number() OVER (PARTITION BY genre ORDER BY size) FROM film",
    "SELECT id FROM film UNION SELECT id FROM loan",
    "SELECT id FROM film EXCEPT SELECT film_id FROM loan",
    "SELECT genre FROM film INTERSECT ALL SELECT id FROM genre",
    "SELECT id FROM film UNION ALL SELECT id FROM loan",
    "SELECT max(size), min(id) FROM film",
    "SELECT string_agg(title, ',' ORDER BY title DESC) FROM film GROUP BY genre",
    # InitPlans
    "SELECT * FROM film WHERE size > (SELECT avg(size) FROM film)",
    "SELECT (SELECT count(*) FROM loan), (SELECT max(at) FROM loan), count(*) FROM film",
    "SELECT * FROM film WHERE EXISTS (SELECT FROM loan WHERE days = 29) LIMIT 10",
    "SELECT count(*) FROM film WHERE size > (SELECT avg(size) FROM film"
    " WHERE id > (SELECT avg(id) FROM film))",
    "SELECT * FROM film f JOIN loan l ON l.film_id = f.id WHERE l.days > (SELECT avg(days) FROM"
    " loan) AND f.size > (SELECT avg(size) FROM film)",
    "SELECT id, (SELECT max(days) FROM loan) FROM film ORDER BY id LIMIT 20",
    "SELECT count(*) FROM film WHERE (SELECT count(*) FROM loan) > 10",
    "SELECT * FROM film LIMIT (SELECT count(*) / 100 FROM genre)",
    "SELECT count(*) FROM film WHERE id = ANY (ARRAY(SELECT film_id FROM loan WHERE days = 3))",
    # SubPlans
    "SELECT id, (SELECT count(*) FROM loan WHERE film_id = film.id) FROM film WHERE id < 500",
    "SELECT count(*) FROM film WHERE id NOT IN (SELECT film_id FROM loan)",
    "SELECT count(*) FROM film WHERE (SELECT max(days) FROM loan WHERE film_id = film.id) > 20",
    "SELECT id, ARRAY(SELECT days FROM loan WHERE film_id = film.id) FROM film LIMIT 100",
    "SELECT count(*) FROM film f WHERE EXISTS (SELECT FROM loan WHERE film_id = f.id) OR genre = 1",
    "SELECT (SELECT (SELECT count(*) FROM loan WHERE film_id = f.id) + g.id) FROM film f JOIN genre"
    " g ON g.id = f.genre WHERE f.id < 200",
    # CTEs
    "WITH c AS MATERIALIZED (SELECT * FROM film) SELECT count(*) FROM c",
    "WITH c AS MATERIALIZED (SELECT * FROM film ORDER BY title)"
    " SELECT count(*) FROM c a JOIN c b USING (id)",
    "WITH c AS MATERIALIZED (SELECT genre, count(*) AS n FROM film GROUP BY genre)"
    " SELECT * FROM c WHERE n = (SELECT max(n) FROM c) OR n = (SELECT min(n) FROM c)",
    "WITH a AS MATERIALIZED (SELECT * FROM film), b AS MATERIALIZED (SELECT * FROM a WHERE id > 9)"
    " SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), count(*) FROM a JOIN b USING (id)",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 900) SELECT sum(n)"
    " FROM t",
    "WITH RECURSIVE t AS (SELECT id, 0 AS d FROM film WHERE id < 4 UNION SELECT f.id, d + 1 FROM t"
    " JOIN film f ON f.id = t.id * 2 WHERE d < 8) SELECT * FROM t a JOIN t b USING (id)",
    "WITH c AS MATERIALIZED (SELECT * FROM film) SELECT * FROM c LIMIT 3",
    "WITH c AS MATERIALIZED (SELECT * FROM film), unread AS MATERIALIZED (SELECT * FROM loan)"
    " SELECT count(*) FROM c UNION ALL SELECT count(*) FROM c WHERE id % 2 = 0",
    "SELECT * FROM (WITH c AS MATERIALIZED (SELECT * FROM film) SELECT count(*) FROM c, (SELECT 1)"
    " x) q, (WITH c AS MATERIALIZED (SELECT * FROM loan) SELECT count(*) FROM c) r",
    # partitions, Append
    "SELECT count(*) FROM visit",
    "SELECT * FROM visit WHERE at = '2030-06-01'",
    "SELECT * FROM visit ORDER BY at LIMIT 10",
    "SELECT * FROM visit WHERE at > (SELECT max(at) - 3 FROM visit)",
    "SELECT at, count(*) FROM visit GROUP BY at HAVING count(*) > 24",
    "SELECT count(*) FROM visit v JOIN loan l ON l.at = v.at WHERE l.days = 4",
    # never executed
    "SELECT * FROM film JOIN loan ON loan.film_id = film.id WHERE film.id = -1",
    "SELECT CASE WHEN id > 0 THEN 1 ELSE (SELECT count(*) FROM loan) END FROM film LIMIT 3",
    # writing
    "INSERT INTO note SELECT n + 1000, n, 'x' FROM generate_series(1, 300) AS n",
    "UPDATE note SET body = 'y' WHERE id < 100",
    "DELETE FROM film WHERE id BETWEEN 20 AND 400 AND id NOT IN (SELECT film_id FROM loan)",
    "INSERT INTO note VALUES (1, 1, 'z') ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    "UPDATE note SET body = f.title FROM film f WHERE f.id = note.film_id RETURNING note.*",
    "WITH gone AS (DELETE FROM note RETURNING *) SELECT count(*) FROM gone",
    "WITH gone AS (DELETE FROM note WHERE id > 50) SELECT count(*) FROM film",
    "WITH gone AS (DELETE FROM note RETURNING *) SELECT * FROM gone LIMIT 1",
    "SELECT * FROM note WHERE id < 20 FOR UPDATE",
    "UPDATE visit SET at = at + 130 WHERE n < 200",
)  # fmt: skip

SETTINGS = {
    "serial": ("SET max_parallel_workers_per_gather = 0",),
    "parallel": (
        "SET max_parallel_workers_per_gather = 3",
        "SET parallel_setup_cost = 0",
        "SET parallel_tuple_cost = 0",
        "SET min_parallel_table_scan_size = 0",
        "SET min_parallel_index_scan_size = 0",
    ),
    "small memory": (
        "SET max_parallel_workers_per_gather = 0",
        "SET work_mem = '64kB'",
        "SET enable_indexscan = off",
    ),
    "parallel, no leader": (
        "SET max_parallel_workers_per_gather = 2",
        "SET parallel_leader_participation = off",
        "SET parallel_setup_cost = 0",
        "SET parallel_tuple_cost = 0",
        "SET min_parallel_table_scan_size = 0",
        "SET enable_hashjoin = off",
        "SET enable_seqscan = off",
    ),
}


@dataclass(frozen=True, slots=True)
class Example:
    query: str
    settings: str
    document: list[dict[str, Any]]
    """EXPLAIN (FORMAT JSON)'s answer."""


def prepare(database: Database) -> None:
    """Make the tables that the queries ask."""
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())


def examples(
    database: Database,
    settings: Sequence[str] = tuple(SETTINGS),
    options: str = "ANALYZE, VERBOSE, BUFFERS, SETTINGS, WAL",
) -> Iterator[Example]:
    """Every query under each of the settings, each rolled back."""
    for name in settings:
        with psycopg.connect(**database, autocommit=True) as connection:
            for statement in SETTINGS[name]:
                connection.execute(statement.encode())
            for query in QUERIES:
                answer = explained(connection, query, f"{options}, FORMAT JSON")
                yield Example(query, name, answer)


def explained(connection: psycopg.Connection[Any], query: str, options: str) -> Any:
    """What EXPLAIN (options) says of a query: JSON parsed, other formats as text."""
    with connection.transaction(force_rollback=True):
        rows = connection.execute(f"EXPLAIN ({options}) {query}".encode()).fetchall()
    if len(rows) == 1 and not isinstance(rows[0][0], str):
        return rows[0][0]
    return "\n".join(row[0] for row in rows)
