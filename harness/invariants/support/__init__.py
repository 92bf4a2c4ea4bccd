"""What several invariants share. Imported when checks run, never to list invariants."""
