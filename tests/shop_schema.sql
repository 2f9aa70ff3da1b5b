-- A shop as many are: enums, identities, a partitioned log, views, triggers, full text, soft deletes.
CREATE SCHEMA shop;
SET search_path = shop;
CREATE TYPE order_state AS ENUM ('open', 'paid', 'sent', 'returned');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE countries (code char(2) PRIMARY KEY, name varchar(80) NOT NULL UNIQUE);
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail email NOT NULL,
    country char(2) REFERENCES countries,
    invited_by bigint REFERENCES customers ON DELETE SET NULL,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX customers_mail ON customers (lower(mail)) WHERE deleted_at IS NULL;
CREATE INDEX customers_country ON customers (country);
CREATE INDEX customers_invited_by ON customers (invited_by) WHERE invited_by IS NOT NULL;
CREATE TABLE products (
    id serial PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    price numeric(12, 2) NOT NULL CHECK (price >= 0),
    tags text[] NOT NULL DEFAULT '{}',
    search tsvector GENERATED ALWAYS AS (to_tsvector('simple', sku)) STORED
);
CREATE INDEX products_search ON products USING gin (search);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers ON DELETE RESTRICT,
    state order_state NOT NULL DEFAULT 'open',
    at timestamptz NOT NULL DEFAULT now(),
    extra jsonb
);
CREATE INDEX orders_customer ON orders (customer_id, at DESC);
CREATE TABLE order_lines (
    order_id bigint REFERENCES orders ON DELETE CASCADE,
    line smallint,
    product_id int NOT NULL REFERENCES products,
    amount int NOT NULL,
    PRIMARY KEY (order_id, line)
);
CREATE INDEX order_lines_product ON order_lines (product_id) INCLUDE (amount);
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, path text, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE visits_rest PARTITION OF visits DEFAULT;
CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'open';
CREATE MATERIALIZED VIEW sales AS SELECT product_id, sum(amount) AS sold FROM order_lines GROUP BY 1;
CREATE UNIQUE INDEX sales_product ON sales (product_id);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
CREATE TRIGGER stamps BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO countries VALUES ('DE', 'Germany'), ('FR', 'France');
INSERT INTO customers (mail, country) SELECT 'c' || n || '@example.org', 'DE' FROM generate_series(1, 500) AS n;
INSERT INTO products (sku, price) SELECT 'sku ' || n, n FROM generate_series(1, 300) AS n;
INSERT INTO orders (customer_id) SELECT 1 + n % 500 FROM generate_series(1, 2000) AS n;
INSERT INTO order_lines SELECT n, 1, 1 + n % 300, 2 FROM generate_series(1, 2000) AS n;
INSERT INTO visits (at, path) SELECT '2026-03-01', '/' FROM generate_series(1, 500);
ANALYZE;
