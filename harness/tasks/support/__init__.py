"""What several tasks share. Imported when a trial runs, never to list tasks."""
