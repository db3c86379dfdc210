package firesteel

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.matching.Regex

import org.scalatest.funsuite.AnyFunSuite

/** The public types of the jar and the dependencies between its packages, by the sources. */
final class ApiSuite extends AnyFunSuite {
  private val main = Path.of("spark-plugin", "src", "main")
  private val scalaType =
    """(?m)^(?:(?:sealed|final|abstract|case|implicit) )*(?:class|object|trait) (\w+)""".r
  private val javaType =
    """(?m)^public (?:(?:sealed|final|abstract) )*(?:class|interface|record|enum) (\w+)""".r
  private val firesteelPackage = """\b(firesteel(?:\.[a-z]\w*)+)\.[A-Z_{]""".r

  private final class Source(val packageName: String, val text: String) {

    /** The text without comments and strings. */
    def code: String = text.replaceAll("""(?s)/\*.*?\*/|//[^\n]*|"[^"\n]*"""", "")
  }

  private def sources(folder: Path, suffix: String): Seq[Source] = {
    val files = Files.walk(folder)
    try
      files.iterator.asScala.filter(_.toString.endsWith(suffix)).toSeq.map { file =>
        val text = Files.readString(file)
        new Source("""package ([\w.]+)""".r.findFirstMatchIn(text).get.group(1), text)
      }
    finally files.close()
  }

  private def typesOf(folder: Path, suffix: String, publicType: Regex): Set[String] =
    sources(folder, suffix).flatMap { source =>
      val found = publicType.findAllMatchIn(source.text)
      found.map(definition => s"${source.packageName}.${definition.group(1)}")
    }.toSet

  /** The types in the rows `| package | type | ...` of a section of `docs/api.md`. */
  private def documented(section: String): Set[String] = {
    val page = Files.readString(Path.of("docs", "api.md"))
    val rows = page.split("\n## ").find(_.startsWith(section)).get.linesIterator
    val row = """\| `([\w.]+)` \| `(\w+)` \|.*""".r
    rows.collect { case row(packageName, name) => s"$packageName.$name" }.toSet
  }

  test("docs/api.md lists exactly the public types of Scala") {
    val public = typesOf(main.resolve("scala").resolve("firesteel"), ".scala", scalaType)
    assert(documented("Scala") === public)
  }

  test("docs/api.md lists exactly the public types of Java, as API or as internal") {
    val public = typesOf(main.resolve("java"), ".java", javaType)
    val internal = documented("Internal").filter(_.startsWith("firesteel."))
    assert(documented("Java") ++ internal === public)
    assert(documented("Java").intersect(internal).isEmpty)
  }

  test("docs/api.md lists the types in Spark's packages as internal") {
    val inSpark = typesOf(main.resolve("scala").resolve("org"), ".scala", scalaType)
    assert(documented("Internal").filter(_.startsWith("org.")) === inSpark)
  }

  test("packages import each other in one direction") {
    val imports = (sources(main, ".scala") ++ sources(main, ".java"))
      .groupMap(_.packageName)(source => firesteelPackage.findAllMatchIn(source.code))
      .map { case (name, found) => name -> (found.flatten.map(_.group(1)).toSet - name) }
    def reachable(from: Set[String]): Set[String] = {
      val next = from ++ from.flatMap(imports.getOrElse(_, Set.empty))
      if (next == from) from else reachable(next)
    }
    val cyclic = imports.keySet.filter(name => reachable(imports(name)).contains(name))
    assert(imports.size > 10)
    assert(cyclic === Set.empty)
  }
}
