"""Words that say nothing about what a text is about, and words with a capital that are nobody's name."""

from training.text import FUNCTION_WORDS

# Beyond their function words, English and German have these.
FURTHER = {
    "en": """
        above across after again against ago almost along already also although always am among another anyone
        anything aren't around away back became because become before began behind being below beside besides
        between beyond both call called came can can't cannot come couldn't day days did didn't does doesn't
        doing don't done down during each either else enough even ever every everyone everything far few first
        get give given go going gone good got great hadn't half hasn't haven't having he'd he'll he's hence
        here hers herself himself how however i i'd i'll i'm i've indeed instead isn't it's its itself just
        kept knew know known last later least left less let like little long look looked looking made make
        making man many may mean men might mine most much must myself near nearly neither never next nobody
        none nor nothing now off often oh old once only onto other others otherwise ought our ours ourselves
        over own part perhaps place put quite rather really right round same saw say says see seem seemed seen
        several shall she'd she'll she's should shouldn't since some someone something sometimes soon still
        such take taken tell than that's thee theirs themselves then there's therefore these they'd they're
        they've thing things think those thou though thought three through thus thy till time today together
        told too took toward towards turn turned two under until upon us use used want wanted wasn't way we'd
        we'll we're we've well went weren't what's whatever whenever where whether while who's whole whom
        whose why within without woman won't word words wouldn't year years yes yet you'd you'll you're you've
        yours yourself asked answered cried replied sat stood mr mrs miss sir dr chapter
    """,
    "de": """
        ab alle allein allem allen aller alles also alt alte alten andere anderem anderen anderer anderes
        anders bald beide beiden beim bin bist bitte bleiben blieb dabei dadurch dafür dagegen daher dahin
        damals damit danach daneben dann daran darauf daraus darf darin darum darunter darüber davon davor
        dazu dein deine deinem deinen deiner denen denn dennoch deren derselbe deshalb dessen dich dies diese
        diesem diesen dieser dieses dir dort dürfen eben ebenso eigentlich eines einfach einige einigen einmal
        erst erste ersten etwa etwas euch euer eure fast ganz ganze ganzen gar geben gegen gegenüber gehabt
        gehen geht gemacht genug gerade gern gesagt gewesen gewiß gewiss geworden ging gleich groß große
        großen gut gute guten habe habt hast hatte hatten hätte hätten her herr herrn heute hier hin hinter
        ihn ihnen ihre ihrem ihren ihrer ihres immer indem ins ja jahr jahre je jede jedem jeden jeder jedes
        jedoch jene jenem jenen jener jenes jetzt kam kamen kann kannst kein keine keinem keinen keiner kommen
        kommt konnte konnten könne können könnte lassen ließ machen macht machte manche mal mein meine meinem
        meinen meiner meint muss musst musste muß mußte möchte mögen müssen nachdem nein nichts nie niemand
        nun ob oben ohne recht sagen sagt sagte sah schon sehen sehr sei seien sein seine seinem seinen seiner
        seines seit selber selbst sieht sobald sogar solch solche solchen sollen sollte sollten sondern sonst
        soviel stand statt tag tage tun tut uns unser unsere unserem unseren unserer unter viel viele vielen
        vielleicht vom ward waren warum was weg wegen weil weiter weiß welche welchem welchen welcher welches
        wenig wer werde weshalb wieder will wir wirklich wissen wo wohl wollen wollte wollten worden wurde
        wurden während wäre wären würde würden zeit zuerst zurück zusammen zwar zwei zwischen überhaupt frau
        fräulein kapitel
    """,
}
STOP_WORDS = {
    language: function_words | set(FURTHER.get(language, "").split())
    for language, function_words in FUNCTION_WORDS.items()
}
# These have a capital and are no names of somebody or some place in a book.
CAPITALS = """
    lord lady master mister madam doctor captain colonel major general professor inspector father mother
    brother sister aunt uncle papa mamma mama king queen prince princess duke duchess count countess earl
    baron squire judge bishop god heaven nature providence church christ jesus bible monday tuesday
    wednesday thursday friday saturday sunday january february march april may june july august september
    october november december christmas easter english englishman englishmen french german spanish italian
    american european christian catholic protestant roman latin greek jew jews england france germany
    italy america europe onkel tante vetter gott herrgott christus majestät exzellenz montag dienstag
    mittwoch donnerstag freitag samstag sonntag
    """
EVERYDAY = STOP_WORDS["en"] | STOP_WORDS["de"] | set(CAPITALS.split())


def stop_words(language: str) -> frozenset[str]:
    """Return the stop words of a language (ISO 639-1); none where its function words aren't known."""
    return STOP_WORDS.get(language, frozenset())
