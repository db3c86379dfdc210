package firesteel.data

import firesteel.bridge.{InvalidDataException, UntrainedModelException}
import org.apache.spark.firesteel.Listeners
import org.apache.spark.ml.attribute.AttributeGroup
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.scheduler.{SparkListener, SparkListenerJobStart}
import org.apache.spark.sql.functions.col
import org.apache.spark.sql.types._
import org.apache.spark.sql.{DataFrame, Row}
import org.scalatest.funsuite.AnyFunSuite

final class ColumnResolverSuite extends AnyFunSuite with LocalSpark {
  import spark.implicits._

  private def resolve(df: DataFrame, columns: String*): InputColumn =
    ColumnResolver.resolve(df, Seq(InputRequest("input", columns)), Nil).inputs.head

  private def message(block: => Any): String = intercept[IllegalArgumentException](block).getMessage

  private def jobsOf(block: => Unit): Int = {
    var jobs = 0
    val listener = new SparkListener {
      override def onJobStart(start: SparkListenerJobStart): Unit = synchronized(jobs += 1)
    }
    spark.sparkContext.addSparkListener(listener)
    block
    Listeners.drain(spark.sparkContext)
    spark.sparkContext.removeSparkListener(listener)
    jobs
  }

  private lazy val vectors: DataFrame =
    Seq((Vectors.dense(1, 2, 3), 0)).toDF("features", "label")

  test("element types stay what they are, and doubles and decimals become floats") {
    val df = Seq(
      (
        Array(1f),
        Array(1.0),
        Array(1),
        Array(1L),
        Array(1.toShort),
        Array[Byte](1, 2),
        BigDecimal(1)
      )
    ).toDF("f", "d", "i", "l", "s", "b", "n")
    import ElementType._
    val found = df.columns.map(name => name -> resolve(df, name).element).toMap
    assert(
      found == Map(
        "f" -> F32,
        "d" -> F32,
        "i" -> I32,
        "l" -> I64,
        "s" -> I16,
        "b" -> U8,
        "n" -> F32
      )
    )
    assert(resolve(df, "b").shape == Seq(2))
    val bytes = df.select(col("i").cast("array<tinyint>").as("t"))
    assert(resolve(bytes, "t").element == I8)
  }

  test("a size that metadata tells costs no job") {
    val attributes = new AttributeGroup("features", 3).toMetadata()
    val told = vectors.withColumn("features", col("features").as("features", attributes))
    assert(jobsOf(resolve(told, "features").shape.foreach(n => require(n == 3))) == 0)
    val size = new MetadataBuilder().putLong("size", 2).build()
    val array = Seq(Tuple1(Array(1f, 2f))).toDF("a").withColumn("a", col("a").as("a", size))
    assert(jobsOf(resolve(array, "a").shape.foreach(n => require(n == 2))) == 0)
    assert(resolve(vectors, "features").shape == Seq(3))
  }

  test("a shape that is asked for must have as many values as the column") {
    val request = InputRequest("input", Seq("features"), Some(Seq(2, 2)))
    val attributes = new AttributeGroup("features", 3).toMetadata()
    val told = vectors.withColumn("features", col("features").as("features", attributes))
    assert(
      message(ColumnResolver.resolve(told, Seq(request), Nil)) ==
        "the column 'features' has 3 values a row, but the network's input " +
        "has the shape 2x2, which is 4"
    )
  }

  test("a column that is missing or of a wrong type is named with what is accepted") {
    assert(
      message(resolve(vectors, "pixels")) ==
        "the column 'pixels' does not exist; the columns are 'features', 'label'"
    )
    val text = Seq(("a", Seq("b"))).toDF("text", "texts")
    assert(
      message(resolve(text, "text")) == "the column 'text' has type string; expected a Spark " +
        "ML vector, an array of a numeric type, binary, or numeric columns"
    )
    assert(message(resolve(text, "texts")).startsWith("the column 'texts' has type array<string>"))
    assert(
      message(resolve(vectors, "features", "label")) ==
        "the column 'features' has type vector; columns that form one input together must be " +
        "numeric"
    )
  }

  test("labels and weights have numeric types") {
    val df = Seq((Vectors.dense(1.0), "a", 1)).toDF("features", "text", "label")
    val inputs = Seq(InputRequest("input", Seq("features")))
    def label(name: String, kind: LabelKind): String =
      message(ColumnResolver.check(df.schema, inputs, Seq(LabelColumn(name, kind))))
    assert(
      label("text", LabelKind.Class(2)) == "the label column 'text' has type " +
        "string; expected a numeric type"
    )
    assert(
      label("label", LabelKind.Values(2))
        .endsWith("a Spark ML vector or a numeric array of 2 values")
    )
    assert(label("features", LabelKind.Class(2)).endsWith("expected a numeric type"))
    assert(
      message(ColumnResolver.check(df.schema, inputs, Nil, Some("text"))) ==
        "the weight column 'text' has type string; expected a numeric type"
    )
  }

  test("a DataFrame without rows and a null first row are errors when the size is unknown") {
    val empty = vectors.filter("label > 5")
    val error = intercept[UntrainedModelException](resolve(empty, "features"))
    assert(error.getMessage == "the DataFrame has no rows, so the size of 'features' is unknown")
    val schema = StructType(Seq(StructField("a", ArrayType(FloatType))))
    val nulls = spark.createDataFrame(java.util.List.of(Row(null)), schema)
    assert(intercept[InvalidDataException](resolve(nulls, "a")).getMessage.contains("'a' is null"))
  }

  test("a prediction reads columns of other types than the fit") {
    val fitted = Seq(
      InputColumn("input", Seq("features"), InputFormat.Sparse, ElementType.F32, Seq(3), 0.5)
    )
    val arrays = Seq(Tuple1(Array(1, 2, 3))).toDF("features")
    assert(ColumnResolver.forPrediction(vectors.schema, fitted).inputs == fitted)
    val adapted = ColumnResolver.forPrediction(arrays.schema, fitted).inputs.head
    assert(adapted.format == InputFormat.Dense && adapted.element == ElementType.I32)
    assert(adapted.scale == 0.5)
  }

  test("vectors are sparse when the first row is, wide and thinly set") {
    def format(vector: Vector): InputFormat =
      resolve(Seq(Tuple1(vector)).toDF("features"), "features").format
    assert(format(Vectors.sparse(256, Array(1), Array(1.0))) == InputFormat.Sparse)
    assert(format(Vectors.sparse(255, Array(1), Array(1.0))) == InputFormat.Dense)
    assert(format(Vectors.dense(new Array[Double](256))) == InputFormat.Dense)
    val half = (0 until 128).toArray
    assert(format(Vectors.sparse(256, half, half.map(_.toDouble))) == InputFormat.Dense)
  }

  test("the JSON of a plan is a DataSpec") {
    val plan = DataPlan(
      Seq(InputColumn("x", Seq("a", "b"), InputFormat.Dense, ElementType.U8, Seq(1, 2), 0.5)),
      Seq(LabelColumn("y", LabelKind.Class(3)), LabelColumn("z", LabelKind.Values(2))),
      Some("w")
    )
    assert(
      plan.toJson == """{"inputs":[{"name":"x","column":"a, b","format":"dense","element":"u8",""" +
        """"shape":[1,2],"scale":0.5}],"labels":[{"column":"y","kind":{"type":"class",""" +
        """"classes":3}},{"column":"z","kind":{"type":"values","size":2}}],"weight":"w"}"""
    )
    assert(plan.columns == Seq("a", "b", "y", "z", "w"))
  }
}
