"""A load of many clients against a copy of the database: never against the live one."""
