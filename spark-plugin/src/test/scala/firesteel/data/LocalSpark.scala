package firesteel.data

import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.scalatest.{Assertion, Assertions, BeforeAndAfterAll, Suite}

/** A session on two threads, stopped at the end of its suite: others start contexts of their own. */
trait LocalSpark extends Assertions with BeforeAndAfterAll { self: Suite =>

  override protected def afterAll(): Unit =
    try super.afterAll()
    finally SparkSession.getDefaultSession.foreach(_.stop())

  protected lazy val spark: SparkSession = SparkSession
    .builder()
    .master("local[2]")
    .appName("firesteel")
    .config("spark.sql.shuffle.partitions", 3)
    .config("spark.sql.planChangeValidation", true)
    .config("spark.ui.enabled", false)
    .getOrCreate()

  /** Runs a block on a cached DataFrame. */
  protected def withCache[T](df: DataFrame)(block: DataFrame => T): T = {
    val cached = df.cache()
    try block(cached)
    finally {
      cached.unpersist()
      ()
    }
  }

  /** Checks that a block leaves no Arrow memory, once the last of its tasks has ended. */
  protected def givesBackMemory(block: => Any): Assertion = {
    val before = SqlPrivate.allocated
    val _ = block
    val end = System.nanoTime() + 10e9.toLong
    while (SqlPrivate.allocated != before && System.nanoTime() < end) Thread.sleep(20)
    assert(SqlPrivate.allocated == before)
  }

  /** Runs a block under SQL settings, which are put back afterwards. */
  protected def withConf[T](settings: (String, String)*)(block: => T): T = {
    val before = settings.map { case (key, _) => key -> spark.conf.getOption(key) }
    settings.foreach { case (key, value) => spark.conf.set(key, value) }
    try block
    finally
      before.foreach {
        case (key, Some(value)) => spark.conf.set(key, value)
        case (key, None) => spark.conf.unset(key)
      }
  }
}
