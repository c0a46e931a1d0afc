"""What was spent, told: reports and exports."""
