"""What comes packed, unpacked up to the place where it is damaged, and never without end.

unpacking  files and streams      ahead      looking ahead in a stream
mail       single mails, as plugins of Dovecot's pack them
"""
