"""One file per button, form or menu; all their state is in the custom_id or the message."""
