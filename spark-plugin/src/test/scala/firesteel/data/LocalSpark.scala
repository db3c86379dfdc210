package firesteel.data

import org.apache.spark.sql.{DataFrame, SparkSession}
import org.scalatest.Suite

/** A session on two threads, shared by the suites of a JVM. */
trait LocalSpark { self: Suite =>

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

  /** Runs a block under SQL settings, which are put back afterwards. */
  protected def withConf[T](settings: (String, String)*)(block: => T): T = {
    val before = settings.map { case (key, _) => key -> spark.conf.getOption(key) }
    settings.foreach { case (key, value) => spark.conf.set(key, value) }
    try block
    finally
      before.foreach {
        case (key, Some(value)) => spark.conf.set(key, value)
        case (key, None)        => spark.conf.unset(key)
      }
  }
}
