"""Who works when: jobs take turns, are recorded, watched and stopped."""
