"""What the apps' REST doors share. Imports no app; openalert.api is the root that names them all."""
