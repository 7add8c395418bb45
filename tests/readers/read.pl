# Reads a message from standard input with MIME::Parser and prints what it sees as JSON.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode);
use JSON::PP;
use MIME::Parser;
use MIME::WordDecoder;
use Mail::Address;

my $parser = MIME::Parser->new;
$parser->output_to_core(1);
$parser->decode_bodies(1);
my $mail = $parser->parse(\*STDIN);

sub field {
    my $text = $mail->head->get(shift);
    $text =~ s/\r?\n(?=[ \t])//g;
    $text =~ s/\s+\z//;
    return $text;
}
sub words { return decode("MIME-Header", shift) }
sub name {
    my ($address) = Mail::Address->parse(field(shift));
    my $phrase = words($address->phrase);
    $phrase =~ s/^"|"$//g;
    return $phrase;
}

my %seen = (subject => words(field("Subject")), from => name("From"), to => name("To"), files => []);
my @parts = ($mail);
while (my $part = shift @parts) {
    if ($part->parts) { unshift @parts, $part->parts; next; }
    my $body = $part->bodyhandle->as_string;
    my $file = $part->head->recommended_filename;
    if (defined $file) {
        my $cid = $part->head->get("Content-ID") // "";
        $cid =~ s/[<>\s]//g;
        $file = mime_to_perl_string($file) unless utf8::is_utf8($file);
        push @{ $seen{files} }, [$file, sha256_hex($body), $cid];
    } else {
        my $charset = $part->head->mime_attr("content-type.charset") // "us-ascii";
        my $kind = $part->mime_type eq "text/html" ? "html" : "text";
        $seen{$kind} = decode($charset, $body);
    }
}
binmode STDOUT;
print encode_json(\%seen);
