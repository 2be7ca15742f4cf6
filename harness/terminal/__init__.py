"""What a person sees in the terminal; the only place that prints."""
