"""What the database itself refuses of the audit log: lines are added, sealed once, and no more.

A migration that makes SQLite build the table anew loses the triggers there, and has to run `guard` again
(tests/annotation/test_audit.py sees to it).
"""

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

REFUSED = "The audit log is append-only."
KEPT = ("id", "at", "action", "by_id", "token", "request", "subject", "details")


def guards(vendor: str) -> list[str]:
    if vendor == "postgresql":
        changed = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in KEPT)
        refuse = f"BEGIN RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'restrict_violation'; END"
        return [
            f"CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {refuse} $$",
            "CREATE TRIGGER audit_no_delete BEFORE DELETE ON annotation_auditevent "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
            "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON annotation_auditevent "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
            "CREATE TRIGGER audit_no_update BEFORE UPDATE ON annotation_auditevent "
            f"FOR EACH ROW WHEN (OLD.number IS NOT NULL OR {changed}) EXECUTE FUNCTION audit_refuse()",
        ]
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in KEPT)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
    return [
        f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON annotation_auditevent {refuse}",
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON annotation_auditevent "
        f"WHEN OLD.number IS NOT NULL OR {changed} {refuse}",
    ]


def unguards(vendor: str) -> list[str]:
    if vendor == "postgresql":
        return ["DROP FUNCTION IF EXISTS audit_refuse() CASCADE"]
    return ["DROP TRIGGER IF EXISTS audit_no_delete", "DROP TRIGGER IF EXISTS audit_no_update"]


def guard(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in guards(editor.connection.vendor):
        editor.execute(statement)


def unguard(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in unguards(editor.connection.vendor):
        editor.execute(statement)
