"""What one elected process does: catalogue writes, health."""
